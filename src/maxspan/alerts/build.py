"""A match becomes alert documents.

An event query gives one alert. A sequence or sample gives one building block an event and, last, the shell alert that
ties them together and carries what all of them have in common. Source: section 11 of the semantics document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from maxspan.alerts.fields import Document, Fields, leaves, nested
from maxspan.alerts.identity import ANCESTORS, alert_id, ancestors_of, block_ids
from maxspan.alerts.intersection import intersection
from maxspan.alerts.overrides import Heading, heading
from maxspan.alerts.reason import reason
from maxspan.alerts.rule_fields import rule_fields, rule_uuid
from maxspan.engine.match import MatchedEvent, RuleMatch
from maxspan.languages.plan import SampleQuery, SequenceQuery
from maxspan.rules.model import Rule
from maxspan.sources.document import decode_line, flatten

Alert: TypeAlias = dict[str, Any]

UUID: Final = "kibana.alert.uuid"
SEVERITY: Final = "kibana.alert.severity"
RISK_SCORE: Final = "kibana.alert.risk_score"
REASON: Final = "kibana.alert.reason"
DEPTH: Final = "kibana.alert.depth"
ORIGINAL_TIME: Final = "kibana.alert.original_time"
BUILDING_BLOCK: Final = "kibana.alert.building_block_type"
GROUP_ID: Final = "kibana.alert.group.id"
GROUP_INDEX: Final = "kibana.alert.group.index"
_ORIGINAL_EVENT: Final = "kibana.alert.original_event."


def build_alerts(match: RuleMatch, *, detected_ns: int | None = None) -> list[Alert]:
    """Give the alerts of one match: `[alert]`, or `[block, block, ..., shell]` for a sequence or sample.

    A document is the event's own source (nested) under the alert's fields (dotted names, as Elastic Security writes
    them). `@timestamp` is the time of the latest event, so that the same events always give the same alerts, byte for
    byte; `detected_ns` (nanoseconds since 1970) puts the time of detection there instead. Missing events have no
    block. The list is empty if an event of the match is itself an alert of this rule: a rule never alerts on itself.
    """
    uuid = rule_uuid(match.rule)
    parts = [_read(event) for event in match.events if event is not None]
    if not parts or any(item.get("rule") == uuid for part in parts for item in part.ancestors):
        return []
    times = [part.event.timestamp_ns for part in parts if part.event.timestamp_ns is not None]
    at_ns = detected_ns if detected_ns is not None else max(times, default=None)
    if isinstance(match.rule.plan, SequenceQuery | SampleQuery):
        return _group(match, parts, at_ns)
    return [_alone(match.rule, part, at_ns) for part in parts]


@dataclass(frozen=True, slots=True)
class _Part:
    """One event of a match, read once: nested, flat, and what it descends from."""

    event: MatchedEvent
    source: Document
    fields: Fields
    ancestors: list[Document]


def _read(event: MatchedEvent) -> _Part:
    source = nested(decode_line(event.raw))
    fields = flatten(source)
    return _Part(event, source, fields, ancestors_of(event, source, fields))


def _alone(rule: Rule, part: _Part, at_ns: int | None) -> Alert:
    alert = _on_event(rule, part, heading(rule, part.fields), at_ns)
    alert[UUID] = alert_id(part.ancestors, rule_uuid(rule))
    return alert


def _group(match: RuleMatch, parts: Sequence[_Part], at_ns: int | None) -> list[Alert]:
    rule, uuid, plain = match.rule, rule_uuid(match.rule), heading(match.rule, None)
    blocks = [_on_event(rule, part, plain, at_ns) for part in parts]
    ids = block_ids([part.ancestors for part in parts], uuid)
    ancestors: list[Document] = []
    for part, block, id_ in zip(parts, blocks, ids, strict=True):
        own = {"id": id_, "type": "signal", "index": "", "depth": block[DEPTH], "rule": uuid}
        ancestors += [*part.ancestors, own]
    group_id = alert_id(ancestors, uuid)
    shell = intersection([_without_rule(block) for block in blocks])
    shell.update(_alert_fields(rule, plain, ancestors, _told(match, parts), at_ns))
    if parts[0].event.timestamp_ns is not None:
        shell[ORIGINAL_TIME] = iso_timestamp(parts[0].event.timestamp_ns)
    shell.update({UUID: group_id, GROUP_ID: group_id})
    for index, (block, id_) in enumerate(zip(blocks, ids, strict=True)):
        block.update({UUID: id_, BUILDING_BLOCK: "default", GROUP_ID: group_id, GROUP_INDEX: index})
    return [*blocks, shell]


def _without_rule(block: Alert) -> Alert:
    """Leave out what all blocks have from the rule, and the shell too: comparing it would only take time."""
    return {key: value for key, value in block.items() if not key.startswith("kibana.alert.rule.")}


def _told(match: RuleMatch, parts: Sequence[_Part]) -> str:
    present = iter(parts)
    told = [None if event is None else next(present).fields for event in match.events]
    return reason(told, name=match.rule.name, severity=match.rule.severity)


def _on_event(rule: Rule, part: _Part, above: Heading, at_ns: int | None) -> Alert:
    """Give the alert on one event, but for its id: the source without what the alert says itself, then its fields."""
    own = part.source.get("event")
    alert = {key: value for key, value in part.source.items() if key not in ("@timestamp", "event.kind", "kibana")}
    if isinstance(own, dict):
        kept = {key: value for key, value in own.items() if key != "kind"}
        alert = {key: value for key, value in alert.items() if key != "event"} | ({"event": kept} if kept else {})
        alert.update({_ORIGINAL_EVENT + name: value for name, value in leaves(own)})
    told = reason([part.fields], name=above.name, severity=above.severity)
    alert |= _alert_fields(rule, above, part.ancestors, told, at_ns)
    if part.event.timestamp_ns is not None:
        alert[ORIGINAL_TIME] = iso_timestamp(part.event.timestamp_ns)
    return alert


def _alert_fields(rule: Rule, above: Heading, ancestors: list[Document], told: str, at_ns: int | None) -> Alert:
    fields: Alert = {} if at_ns is None else {"@timestamp": iso_timestamp(at_ns)}
    fields |= {
        "event.kind": "signal",
        "kibana.space_ids": ["default"],
        "kibana.alert.status": "active",
        "kibana.alert.workflow_status": "open",
        "kibana.alert.workflow_tags": [],
        "kibana.alert.workflow_assignee_ids": [],
        DEPTH: max((item["depth"] for item in ancestors), default=0) + 1,
        ANCESTORS: ancestors,
        REASON: told,
        SEVERITY: above.severity,
        RISK_SCORE: above.risk_score,
    }
    if rule.building_block_type:
        fields[BUILDING_BLOCK] = rule.building_block_type
    return fields | rule_fields(rule, above.name)


def iso_timestamp(time_ns: int) -> str:
    """Write nanoseconds since 1970 as ISO 8601 in UTC: milliseconds, or as many digits (6, 9) as the time has."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    if rest % 1_000_000 == 0:
        fraction = f"{rest // 1_000_000:03d}"
    elif rest % 1_000 == 0:
        fraction = f"{rest // 1_000:06d}"
    else:
        fraction = f"{rest:09d}"
    try:
        whole = datetime.fromtimestamp(seconds, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return f"{seconds}.{fraction}"  # outside the years 1 to 9999: seconds since 1970
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{fraction}Z"
