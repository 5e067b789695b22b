"""The sentence that says what happened."""

from __future__ import annotations

from typing import Any

import pytest

from maxspan.alerts.reason import phrase_of, reason
from maxspan.sources.document import flatten

PROCESS = {"process.name": "sh", "process.pid": 3}


@pytest.mark.parametrize(
    ("event", "phrase"),
    [
        (
            {"event.category": "process", "event.type": "start", "process.name": "sh", "process.parent.name": "nc"},
            "nc started sh",
        ),
        ({"event.category": "process", "event.type": "start", "process.name": "sh"}, "something started sh"),
        (
            {"event.category": "process", "event.action": "fork", "process.command_line": "sh -i"},
            "something forked sh -i",
        ),
        ({"event.category": "process", "event.type": "end", **PROCESS}, "sh ended"),
        ({"event.category": "process", "event.action": "ptrace_attach", **PROCESS}, "sh did ptrace attach"),
        (
            {"event.category": "network", "destination.ip": "::1", "destination.port": 80, **PROCESS},
            "sh connected to [::1]:80",
        ),
        (
            {"event.category": "network", "event.action": "connection_accepted", "source.ip": "1.2.3.4", **PROCESS},
            "sh accepted a connection from 1.2.3.4",
        ),
        (
            {
                "event.category": "network",
                "event.action": "disconnect_received",
                "destination.ip": "1.2.3.4",
                **PROCESS,
            },
            "sh disconnected from 1.2.3.4",
        ),
        ({"event.category": ["network"], "dns.question.name": "evil.example", **PROCESS}, "sh looked up evil.example"),
        ({"event.category": "file", "event.action": "creation", "file.path": "/tmp/x", **PROCESS}, "sh created /tmp/x"),
        (
            {"event.category": "file", "event.action": "extended_attributes", "file.path": "/x", **PROCESS},
            "sh did extended attributes on /x",
        ),
        ({"event.category": "registry", "registry.path": "HKLM\\x", **PROCESS}, "sh changed registry value HKLM\\x"),
        ({"event.category": "library", "dll.name": "x.dll", **PROCESS}, "sh loaded x.dll"),
        (
            {
                "event.category": "authentication",
                "event.outcome": "failure",
                "user.name": "root",
                "source.ip": "1.1.1.1",
            },
            "root failed to log on from 1.1.1.1",
        ),
        ({"event.category": "iam", "event.action": "added-user", "user.name": "bob"}, "bob: added user"),
        ({"event.category": "network", **PROCESS}, "sh: network event"),
        ({}, "event"),
    ],
)
def test_phrases(event: dict[str, Any], phrase: str) -> None:
    assert phrase_of(flatten(event)) == phrase


def test_a_sentence_escapes_and_clips_what_events_say() -> None:
    event = flatten({"event.category": "process", "event.type": "start", "process.command_line": "\x1b[1m" + "x" * 500})
    told = reason([event], name="R\x07", severity="low")
    assert "\\x1b[1mxxx" in told and "…" in told and '"R\\x07"' in told
    assert len(told) < 200


def test_the_same_phrase_is_told_once() -> None:
    event = flatten({"event.category": "process", "event.type": "end", **PROCESS})
    assert reason([event, event], name="R", severity="low") == 'sh ended: low alert "R".'
