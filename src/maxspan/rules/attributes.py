"""The parts that rules of all formats share: ATT&CK, severity, risk score, mappings, durations."""

from __future__ import annotations

import math
from typing import Final

from maxspan.rules import keys
from maxspan.rules.complaints import Complaint
from maxspan.rules.model import SEVERITIES, RiskScoreMapping, Severity, SeverityMapping, Technique, Threat, duration_ns
from maxspan.rules.table import Table
from maxspan.schema import attack

DEFAULT_SEVERITY: Final[Severity] = "low"
DEFAULT_RISK_SCORE: Final = 21


def threats(table: Table) -> tuple[Threat, ...]:
    """Read `[[threat]]`; ids that ATT&CK does not have are kept and warned about, unnamed ones get their name."""
    out: list[Threat] = []
    for entry in table.tables("threat"):
        entry.check_keys(keys.THREAT, where="threat")
        framework = entry.text("framework", "MITRE ATT&CK")
        known = framework.strip().casefold() == "mitre att&ck"
        tactic = entry.table("tactic")
        if tactic is not None:
            tactic.check_keys(keys.TACTIC, where="threat.tactic")
        tactic_id = tactic.required_text("id") if tactic is not None else ""
        if tactic is not None and known and tactic_id:
            _check_id(tactic, tactic_id, "tactic")
        out.append(
            Threat(
                tactic_id=tactic_id,
                tactic_name=(tactic.text("name") if tactic is not None else "") or attack.name_of(tactic_id),
                tactic_reference=tactic.text("reference") if tactic is not None else "",
                techniques=_techniques(entry, "technique", known),
                framework=framework,
            )
        )
    return tuple(out)


def _techniques(table: Table, key: str, known: bool) -> tuple[Technique, ...]:
    out: list[Technique] = []
    for item in table.tables(key):
        item.check_keys(keys.TECHNIQUE if key == "technique" else keys.TACTIC, where=f"threat.{key}")
        id_ = item.required_text("id")
        if known and id_:
            _check_id(item, id_, key)
        name = item.text("name") or attack.name_of(id_)
        below = _techniques(item, "subtechnique", known) if key == "technique" else ()
        out.append(Technique(id_, name, item.text("reference"), below))
    return tuple(out)


def _check_id(table: Table, id_: str, kind: str) -> None:
    """Warn of an id that ATT&CK does not have (any more)."""
    at = (*table.at, "id")
    if attack.is_tactic(id_) if kind == "tactic" else attack.is_technique(id_):
        status = attack.entries()[id_].status
        if status != "active":
            message = f"ATT&CK has {status} the {kind} {id_} ({attack.name_of(id_)})"
            table.complain(Complaint("outdated-attack-id", message, "warning", at, True))
        return
    near = attack.nearest(id_, name=table.text("name"), tactic=kind == "tactic")
    hint = f"did you mean {near} ({attack.name_of(near)})?" if near else f"the list is that of ATT&CK v{attack.VERSION}"
    table.complain(Complaint("unknown-attack-id", f"ATT&CK has no {kind} {id_[:64]!r}", "warning", at, True, hint))


def severity(table: Table) -> Severity:
    """Read `severity`; one that does not exist is warned about and read as `low`."""
    return _severity(table) or DEFAULT_SEVERITY


def _severity(table: Table) -> Severity | None:
    value = table.text("severity")
    for known in SEVERITIES:
        if value.strip().casefold() == known:
            return known
    if "severity" in table and isinstance(table.values["severity"], str):
        message = f"there is no severity {value[:64]!r}; it is read as {DEFAULT_SEVERITY}"
        hint = f"one of {', '.join(SEVERITIES)}"
        table.complain(Complaint("impossible-severity", message, "warning", (*table.at, "severity"), True, hint))
    return None


def risk_score(table: Table) -> float:
    """Read `risk_score`; one outside 0 to 100 is warned about and read as the nearest possible one."""
    value = table.number("risk_score", DEFAULT_RISK_SCORE)
    possible = DEFAULT_RISK_SCORE if math.isnan(value) else min(100, max(0, value))
    if possible != value:
        message = f"a risk score is between 0 and 100; {value:g} is read as {possible:g}"
        table.complain(Complaint("impossible-risk-score", message, "warning", (*table.at, "risk_score"), True))
    return possible


def severity_mappings(table: Table) -> tuple[SeverityMapping, ...]:
    out: list[SeverityMapping] = []
    for item in table.tables("severity_mapping"):
        item.check_keys(keys.SEVERITY_MAPPING, where="severity_mapping")
        name, level = item.required_text("field"), _severity(item)
        if level is not None:
            out.append(SeverityMapping(name, _constant(item), level, item.text("operator", "equals")))
    return tuple(out)


def risk_score_mappings(table: Table) -> tuple[RiskScoreMapping, ...]:
    out: list[RiskScoreMapping] = []
    for item in table.tables("risk_score_mapping"):
        item.check_keys(keys.RISK_SCORE_MAPPING, where="risk_score_mapping")
        score = risk_score(item) if "risk_score" in item else None
        out.append(
            RiskScoreMapping(item.required_text("field"), _constant(item), score, item.text("operator", "equals"))
        )
    return tuple(out)


def _constant(table: Table) -> str:
    """Give `value` as the text that is compared: numbers and booleans as JSON writes them."""
    value = table.values.get("value")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else table.text("value")


def duration(table: Table, key: str, default: str) -> str:
    """Read `from` or `interval`; one that cannot be read is warned about and kept as written."""
    value = table.text(key, default)
    if duration_ns(value) is None:
        message = f"`{key}` is no duration: {value[:64]!r}"
        hint = "such as now-9m" if key == "from" else "such as 5m"
        table.complain(Complaint("unreadable-duration", message, "warning", (*table.at, key), True, hint))
    return value
