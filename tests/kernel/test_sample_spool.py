"""Events of samples that wait in a temporary file: the same matches, in the same order, whatever goes wrong."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from maxspan.engine.kernel import native
from maxspan.engine.kernel.compiled import CompiledRules
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.kernel.sample_spool import SampleSpool
from maxspan.engine.kernel.temporary import TemporaryBytes
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.sources.chunk import Chunk
from tests.kernel.test_scanner import rules_of

EVENTS = [(b"{}", os.fsdecode(b"/tmp/\xff"), 1, 5, 1), (b'{"a":1}', "-", 2**40, 2**50, 2**63)]
RULES = [
    "sample by k [a where true] [b where true] [c where x == 1]",
    "sequence by k with maxspan=1m [a where true] [z where true]",
]


def lines(events: list[dict[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(event).encode() for event in events)


def event(number: int, category: str, key: str, **more: Any) -> dict[str, Any]:
    return {"@timestamp": f"2024-05-01T10:00:{number % 60:02d}Z", "event": {"category": category}, "k": key, **more}


def test_events_come_back_in_their_order() -> None:
    rules = CompiledRules(rules_of(*RULES)).rules
    spool = SampleSpool()
    spool.add(rules[0], EVENTS)
    spool.add(rules[0], EVENTS[:1])
    assert [*spool.read(rules[0])] == [*EVENTS, EVENTS[0]]
    assert [*spool.read(rules[1])] == []
    assert (rules[0] in spool, rules[1] in spool) == (True, False)
    spool.forget(rules[0])
    assert [*spool.read(rules[0])] == []


def full(self: TemporaryBytes, data: bytes) -> int:
    raise OSError(28, "No space left on device")


def test_without_room_events_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TemporaryBytes, "add", full)
    (rule,) = CompiledRules(rules_of(RULES[0])).rules
    spool = SampleSpool()
    spool.add(rule, EVENTS)
    spool.add(rule, EVENTS)
    assert [*spool.read(rule)] == EVENTS * 2
    assert spool.failure == "No space left on device"


@pytest.mark.parametrize("is_full", [False, True])
def test_samples_that_wait_in_a_file(is_full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if native.scan is None:
        pytest.skip("nothing waits in the scanner where it is not")
    monkeypatch.setattr("maxspan.engine.kernel.parked.MOST_SAMPLED", 200)
    monkeypatch.setattr("maxspan.engine.kernel.parked.LOOK_AFTER", 1)
    if is_full:
        monkeypatch.setattr(TemporaryBytes, "add", full)
    rules = rules_of(*RULES)
    events = [event(n, "abc"[n % 3], f"k{n // 7 % 5}", x=n % 2) for n in range(200)]
    events[50] = {"_source": events[50], "_index": "logs", "_id": "fifty"}
    chunks = [Chunk(lines(events[n : n + 4]), "events", n + 1) for n in range(0, len(events), 4)]
    kernel, reference = KernelDetector(rules), ReferenceDetector(rules)
    found = [[match for chunk in chunks for match in one.feed(chunk)] + one.finish() for one in (kernel, reference)]
    assert found[0] == found[1]
    assert len(found[0]) == 5
    said = [problem.code for problem in kernel.counters.problems]
    assert said == (["no-space"] if is_full else [])
