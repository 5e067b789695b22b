"""A detection rule as its file states it, plus the plan that its query became, and a set of rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from maxspan.errors import Problem
from maxspan.languages.plan import Query

Severity = Literal["low", "medium", "high", "critical"]
Format = Literal["elastic", "kibana", "endpoint"]

SEVERITIES: Final[tuple[Severity, ...]] = ("low", "medium", "high", "critical")

_SECOND: Final = 10**9
_UNITS_NS: Final = {
    "ms": 10**6,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3600 * _SECOND,
    "d": 86400 * _SECOND,
    "w": 604800 * _SECOND,
}
_DURATION = re.compile(r"(\d{1,12})\s*(ms|[smhdw])")


def duration_ns(text: str) -> int | None:
    """Read a duration such as `5m` or `now-9m` (how long before now) as nanoseconds; `now` is 0, nonsense is None."""
    text = text.strip()
    if text == "now":
        return 0
    found = _DURATION.fullmatch(text.removeprefix("now-"))
    return int(found[1]) * _UNITS_NS[found[2]] if found else None


@dataclass(frozen=True, slots=True)
class Technique:
    """One ATT&CK technique of a rule, with its sub-techniques (which have none of their own)."""

    id: str
    name: str = ""
    reference: str = ""
    subtechniques: tuple[Technique, ...] = ()

    def document(self) -> dict[str, Any]:
        out: dict[str, Any] = {"id": self.id, "name": self.name, "reference": self.reference}
        if self.subtechniques:
            out["subtechnique"] = [item.document() for item in self.subtechniques]
        return out


@dataclass(frozen=True, slots=True)
class Threat:
    """One `[[threat]]` entry: a tactic and the techniques that serve it."""

    tactic_id: str
    tactic_name: str = ""
    tactic_reference: str = ""
    techniques: tuple[Technique, ...] = ()
    framework: str = "MITRE ATT&CK"

    def document(self) -> dict[str, Any]:
        """Give the entry as Kibana writes it in rules and in `kibana.alert.rule.threat`."""
        tactic = {"id": self.tactic_id, "name": self.tactic_name, "reference": self.tactic_reference}
        out: dict[str, Any] = {"framework": self.framework, "tactic": tactic}
        if self.techniques:
            out["technique"] = [item.document() for item in self.techniques]
        return out

    @property
    def technique_ids(self) -> tuple[str, ...]:
        """Give the ids of techniques and sub-techniques, in the order of the file."""
        return tuple(id_ for item in self.techniques for id_ in (item.id, *(sub.id for sub in item.subtechniques)))


@dataclass(frozen=True, slots=True)
class SeverityMapping:
    """If the source event's `field` equals `value`, the alert's severity is `severity`."""

    field: str
    value: str
    severity: Severity
    operator: str = "equals"


@dataclass(frozen=True, slots=True)
class RiskScoreMapping:
    """With an empty `value` the alert takes its risk score from the event's `field`; else `risk_score` where equal."""

    field: str
    value: str = ""
    risk_score: int | float | None = None
    operator: str = "equals"


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """What the file says, and the plan of its query. Compared and hashed by identity.

    `not_runnable` is empty for a rule that can run; else it says why not, in one line. `plan` is None where the query
    is of a language that is not compiled, or has errors. `severity` and `risk_score` are always possible values
    (a file that says otherwise is warned about). `line` is where the rule begins in a file of many (an
    export), else 0. `raw` is the whole table of the file (dates of TOML as text). Durations stay as
    written (`from_` is `now-9m`, `interval` is `5m`). Settings that the file leaves out hold Kibana's defaults.
    """

    id: str
    name: str
    type: str
    language: str = ""
    query: str = ""
    plan: Query | None = None
    not_runnable: str = ""
    severity: Severity = "low"
    risk_score: int | float = 21
    description: str = ""
    note: str = ""
    setup: str = ""
    index: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    threat: tuple[Threat, ...] = ()
    os: tuple[str, ...] = ()
    from_: str = "now-6m"
    interval: str = "5m"
    timestamp_override: str = ""
    timestamp_field: str = "@timestamp"
    tiebreaker_field: str = ""
    event_category_field: str = ""
    event_category_override: str = ""
    severity_mapping: tuple[SeverityMapping, ...] = ()
    risk_score_mapping: tuple[RiskScoreMapping, ...] = ()
    rule_name_override: str = ""
    building_block_type: str = ""
    false_positives: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    author: tuple[str, ...] = ()
    license: str = ""
    version: int | str = 1
    enabled: bool = True
    max_signals: int = 100
    exceptions_list: tuple[Mapping[str, Any], ...] = ()
    filters: tuple[Mapping[str, Any], ...] = ()
    actions: tuple[Mapping[str, Any], ...] = ()
    optional_actions: tuple[Mapping[str, Any], ...] = ()
    alert_suppression: Mapping[str, Any] | None = None
    investigation_fields: tuple[str, ...] = ()
    format: Format = "elastic"
    path: str = ""
    line: int = 0
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def runnable(self) -> bool:
        return not self.not_runnable

    @property
    def category_field(self) -> str:
        """Give the field that holds the event category of the query's `process where`."""
        return self.event_category_field or self.event_category_override or "event.category"

    @property
    def interval_ns(self) -> int | None:
        return duration_ns(self.interval)

    @property
    def lookback_ns(self) -> int | None:
        """Give how far each run reaches back, in nanoseconds (`from`); None where it cannot be read."""
        return duration_ns(self.from_)

    @property
    def tactics(self) -> tuple[str, ...]:
        return tuple(entry.tactic_name or entry.tactic_id for entry in self.threat)

    @property
    def technique_ids(self) -> tuple[str, ...]:
        """Give the ids of all techniques and sub-techniques, without repetition, in the order of the file."""
        return tuple(dict.fromkeys(id_ for entry in self.threat for id_ in entry.technique_ids))


@dataclass(frozen=True, eq=False)
class Ruleset:
    """Rules in the order that they were read, and everything that is wrong with them or their files.

    `notes` are remarks on the loading itself that change nothing in the rules, such as a cache that cannot be written.
    """

    rules: tuple[Rule, ...] = ()
    problems: tuple[Problem, ...] = ()
    files: int = 0
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    @cached_property
    def runnable(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.runnable)

    @cached_property
    def not_runnable(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if not rule.runnable)

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "warning")

    @cached_property
    def by_id(self) -> Mapping[str, Rule]:
        """Map id to rule; of several rules with one id, the first."""
        return {rule.id: rule for rule in reversed(self.rules)}

    @cached_property
    def _by_name(self) -> Mapping[str, Rule]:
        return {rule.name.casefold(): rule for rule in reversed(self.rules)}

    def get(self, id_or_name: str) -> Rule | None:
        """Find a rule by its id, else by its name without regard to case; None if there is neither."""
        return self.by_id.get(id_or_name) or self._by_name.get(id_or_name.casefold())
