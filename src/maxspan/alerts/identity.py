"""Ids by content: the same events and the same rule give the same alert ids, whenever and wherever they are run.

Source: section 11 of the semantics document; docs/adr/0401-alert-ids-by-content.md says why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from maxspan.alerts.encode import to_json
from maxspan.alerts.fields import Document, Fields, first
from maxspan.engine.match import MatchedEvent

ANCESTORS = "kibana.alert.ancestors"


def canonical(document: Mapping[str, Any]) -> bytes:
    """Write a nested document in the one form that its meaning has.

    Keys sorted, no spaces, UTF-8; nulls and empty objects dropped, a list of one written as its element: all of these
    differences mean nothing to a query. Order and repetition inside lists are kept.
    """
    return to_json(_plain(document), sort=True)


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        kept = {key: plain for key, item in value.items() if (plain := _plain(item)) is not None}
        return kept or None
    if kind is list:
        items = [plain for item in value if (plain := _plain(item)) is not None]
        if len(items) <= 1:
            return items[0] if items else None
        return items
    return value


def event_id(event: MatchedEvent, source: Mapping[str, Any]) -> str:
    """Give the `_id` that came with the event, or the SHA-256 of its canonical form in hexadecimal."""
    return event.id or hashlib.sha256(canonical(source)).hexdigest()


def ancestors_of(event: MatchedEvent, source: Mapping[str, Any], fields: Fields) -> list[Document]:
    """Give the ancestry that an alert on this event has: the event, preceded by its own ancestors if it is an alert."""
    rule = first(fields, "kibana.alert.rule.uuid")
    if not rule:
        return [{"id": event_id(event, source), "type": "event", "index": event.index, "depth": 0}]
    depth = next((value for value in fields.get("kibana.alert.depth", ()) if isinstance(value, int)), 1)
    id_ = event.id or first(fields, "kibana.alert.uuid") or event_id(event, source)
    own = {"id": id_, "type": "signal", "index": event.index, "depth": depth, "rule": rule}
    return [*_earlier(source), own]


def _earlier(source: Mapping[str, Any]) -> list[Document]:
    alert = source.get("kibana", {}).get("alert", {}) if isinstance(source.get("kibana"), dict) else {}
    listed = alert.get("ancestors") if isinstance(alert, dict) else None
    return [dict(item) for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def alert_id(ancestors: Iterable[Document], rule_uuid: str) -> str:
    """Give the id of an alert: SHA-256 over id and index of each ancestor, then the rule's uuid."""
    return _digest(_ancestry(ancestors) + rule_uuid)


def block_ids(ancestries: Sequence[Sequence[Document]], rule_uuid: str) -> list[str]:
    """Give the ids of the building blocks of one sequence; each depends on all of them and on its own place."""
    whole = "".join(_ancestry(ancestors) + rule_uuid for ancestors in ancestries)
    return [_digest(f"{whole}{index}") for index in range(len(ancestries))]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _ancestry(ancestors: Iterable[Document]) -> str:
    return "".join(f"{item.get('id', '')}{item.get('index', '')}" for item in ancestors)
