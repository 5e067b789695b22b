"""What a rule takes from the event itself: severity, risk score and name.

These apply to alerts on single events only, never to sequences. Source: section 11 of the semantics document.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from maxspan.alerts.fields import Fields, as_text
from maxspan.rules.model import SEVERITIES, Rule

#: The one field that is compared as a whole number.
_SEVERITY_FIELD: Final = "event.severity"


@dataclass(frozen=True, slots=True)
class Heading:
    """The three things of an alert that an event may override."""

    name: str
    severity: str
    risk_score: float


def heading(rule: Rule, fields: Fields | None) -> Heading:
    """Give name, severity and risk score of an alert of `rule` on an event; `None` for no overrides."""
    if fields is None:
        return Heading(rule.name, rule.severity, rule.risk_score)
    return Heading(_name(rule, fields), _severity(rule, fields), _risk_score(rule, fields))


def _name(rule: Rule, fields: Fields) -> str:
    if not rule.rule_name_override:
        return rule.name
    found = fields.get(rule.rule_name_override, [])
    return found[0] if len(found) == 1 and isinstance(found[0], str) and found[0].strip() else rule.name


def _severity(rule: Rule, fields: Fields) -> str:
    """Give the highest severity whose mapping holds; without one, the rule's own."""
    held = [item.severity for item in rule.severity_mapping if _holds(item.field, item.value, fields)]
    return max(held, key=SEVERITIES.index, default=rule.severity)


def _holds(field: str, wanted: str, fields: Fields) -> bool:
    present = fields.get(field, [])
    if field == _SEVERITY_FIELD:
        number = _number(wanted)
        whole = [value for value in present if isinstance(value, int | float) and not isinstance(value, bool)]
        return number is not None and math.floor(number) in whole
    return any(as_text(value) == wanted for value in present if not isinstance(value, bool))


def _risk_score(rule: Rule, fields: Fields) -> float:
    """Give what the first mapping says: the highest score from 0 to 100 in its field, or its own score where equal."""
    if not rule.risk_score_mapping:
        return rule.risk_score
    mapping = rule.risk_score_mapping[0]
    if mapping.value and mapping.risk_score is not None:
        return mapping.risk_score if _holds(mapping.field, mapping.value, fields) else rule.risk_score
    numbers = (_number(value) for value in fields.get(mapping.field, []))
    return max((number for number in numbers if number is not None and 0 <= number <= 100), default=rule.risk_score)


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    try:
        number = float(str(value))
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number
