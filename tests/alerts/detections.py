"""Rules and detections made in a line, for tests of alerts and sinks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from maxspan.alerts.group import AlertGroup, group_of
from maxspan.engine.match import RuleMatch
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.languages import eql
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk

SEQUENCE = (
    "sequence by host.id with maxspan=5s"
    ' [network where event.type == "start"] by process.entity_id'
    ' [process where event.type == "start"] by process.parent.entity_id'
)


def a_rule(query: str = "any where true", **settings: Any) -> Rule:
    """Make a rule; settings as in `Rule`, for instance `severity="high"`."""
    given = {"id": "rule-1", "name": "A rule", "type": "eql", "language": "eql", **settings}
    return Rule(query=query, plan=eql.parse(query), **given)


def lines(events: Iterable[Any]) -> bytes:
    return b"".join((event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n" for event in events)


def matches(rule: Rule, events: Iterable[Any], path: str = "<events>") -> list[RuleMatch]:
    """Run one rule over events (dictionaries or lines)."""
    detector = ReferenceDetector([rule])
    return [*detector.feed(Chunk(lines(events), path)), *detector.finish()]


def groups(rule: Rule, events: Iterable[Any], path: str = "<events>") -> list[AlertGroup]:
    found = (group_of(match) for match in matches(rule, events, path))
    return [group for group in found if group is not None]


def connection(at: str = "2026-11-24T03:06:14.000Z", **more: Any) -> dict[str, Any]:
    """Give a shell's connection, the first stage of `SEQUENCE`."""
    return {
        "@timestamp": at,
        "event": {"category": ["network"], "type": ["start"], "action": "connection_attempted", "kind": "event"},
        "host": {"id": "h1", "name": "victim"},
        "user": {"id": "0"},
        "process": {"pid": 10, "entity_id": "e10", "name": "bash", "args": ["bash", "-i"], "command_line": "bash -i"},
        "source": {"ip": "10.0.0.2", "port": 0},
        "destination": {"ip": "10.0.0.1", "port": 4242},
        "network": {"transport": "tcp"},
        **more,
    }


def started(at: str = "2026-11-24T03:06:14.700Z", **more: Any) -> dict[str, Any]:
    """Give the shell that the connected one starts, the second stage of `SEQUENCE`."""
    return {
        "@timestamp": at,
        "event": {"category": ["process"], "type": ["start"], "action": "exec", "kind": "event"},
        "host": {"id": "h1", "name": "victim"},
        "user": {"id": "0"},
        "process": {
            "pid": 11,
            "entity_id": "e11",
            "name": "sh",
            "args": ["sh", "-i"],
            "command_line": "sh -i",
            "parent": {"pid": 10, "entity_id": "e10", "name": "bash", "args": ["bash", "-i"]},
        },
        **more,
    }
