"""What a hostile event must not do: take memory or time out of proportion, or hide other events."""

from __future__ import annotations

import json
import os
import tracemalloc
from typing import Any

import pytest

import maxspan
from maxspan.engine.kernel import hit_spool, order, reader, tree
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.kernel.machine import Machine
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.engine.reference.event import Key
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk

TIME = 1714557600000


def rules_of(*queries: str, **fields: Any) -> list[Rule]:
    return [
        Rule(id=str(number), name=str(number), type="eql", query=query, plan=maxspan.parse(query), **fields)
        for number, query in enumerate(queries)
    ]


def found(detector: Any, documents: list[dict[str, Any]], size: int = 1) -> list[Any]:
    lines = [json.dumps(document).encode() for document in documents]
    out = []
    for begin in range(0, len(lines), size):
        out += detector.feed(Chunk(b"\n".join(lines[begin : begin + size]) + b"\n", first_line=begin + 1))
    out += detector.finish()
    return sorted((m.rule.id, [e and e.position for e in m.events], m.join_keys) for m in out)


def test_the_tree_is_forgotten_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer places than beginnings, each place that is made forgets all others."""
    monkeypatch.setattr(tree, "MOST_PLACES", 1)
    monkeypatch.setattr(order, "_SAMPLES", 1)
    monkeypatch.setattr(tree, "_MANY", -1.0)
    rules = rules_of(
        'process where process.name == "a" and process.args : "x*"',
        'file where process.name in ("a", "b") or process.args : "*y"',
        'network where process.args == "z" and process.name != "b"',
    )
    documents = [
        {"event": {"category": category}, "process": {"name": name, "args": args}}
        for category in ("process", "file", "network")
        for name in ("a", "b", None)
        for args in ("x", "xy", "z")
    ] * 2
    assert found(KernelDetector(rules), documents) == found(ReferenceDetector(rules), documents)


def test_a_key_is_a_time_only_for_the_rules_that_go_by_it() -> None:
    rules = [
        *rules_of("sequence by event.ingested [a where true] [b where true]"),
        *rules_of("sequence by event.ingested [any where n == 1] [any where n == 2]", timestamp_field="event.ingested"),
    ]
    documents = [
        {"event": {"category": kind, "ingested": f"2024-05-01T10:00:{seconds}Z"}, "@timestamp": TIME, "n": number}
        for number, (kind, seconds) in enumerate([("a", "00"), ("a", "00.5"), ("c", "00.500")])
    ]
    expected = found(ReferenceDetector(rules), documents)
    assert len(expected) == 1
    assert found(KernelDetector(rules), documents) == expected


def test_rules_that_go_by_another_time_have_a_clock_of_their_own() -> None:
    query = "sequence by host.id with maxspan=5s [any where n == 0] [any where n == 1]"
    rules = [*rules_of(query), *rules_of(query, timestamp_field="event.ingested")]
    documents = [
        {"@timestamp": t, "host": {"id": "h"}, "event": {"ingested": t + 3_600_000}, "n": number % 2}
        for number, t in enumerate(range(TIME, TIME + 10_000, 1000))
    ]
    expected = found(ReferenceDetector(rules), documents)
    assert len(expected) == 10
    stream = KernelDetector(rules, stream=True)
    assert found(stream, documents) == expected
    assert stream.counters.late == 0


def test_names_of_files_need_not_be_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hit_spool, "IN_MEMORY", 2)
    rules = rules_of("sequence by host.id with maxspan=5s [any where n == 0] [any where n == 1]")
    lines = [
        json.dumps({"@timestamp": TIME + number, "host": {"id": "h"}, "n": number % 2}).encode() for number in range(6)
    ]
    path = os.fsdecode(b"\xff.ndjson")
    batch, stream = KernelDetector(rules, skip=False), KernelDetector(rules, stream=True)
    for number, line in enumerate([*lines, b"{"], 1):
        batch.feed(Chunk(line + b"\n", path, number))
        stream.feed(Chunk(line + b"\n", path, number))
    restored = KernelDetector.restore(rules, stream.snapshot())
    assert restored.counters.problems[0].path == "\\udcff.ndjson"
    for detector in (batch, restored):
        matches = detector.finish()
        assert len(matches) == 3
        assert {event.path for match in matches for event in match.events if event is not None} == {path}


@pytest.mark.parametrize("before", [b"", b" ", b"\t", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("after", [b"", b" ", b"\r"])
def test_an_event_is_kept_without_the_white_space_around_it(before: bytes, after: bytes) -> None:
    rules = rules_of("any where n == 1")
    raws = []
    for detector in (ReferenceDetector(rules), KernelDetector(rules)):
        (match,) = [*detector.feed(Chunk(before + b'{"n": 1}' + after + b"\n")), *detector.finish()]
        assert match.events[0] is not None
        raws.append(match.events[0].raw)
    assert raws[0] == raws[1]


def test_a_long_key_is_not_written_out_for_each_of_its_inner_ones() -> None:
    inner = {f"a{number}": 1 for number in range(2000)}
    line = json.dumps({"_source": {"k" * 100_000: inner, "n": {"m": [{"o.p": 1}, {"o": {"p": 2}}]}}}).encode()
    detector = KernelDetector(rules_of("any where n.m.o.p == 2 and q == null"))
    tracemalloc.start()
    try:
        assert len(detector.feed(Chunk(line))) == 1
        assert tracemalloc.get_traced_memory()[1] < 20 * len(line)
    finally:
        tracemalloc.stop()


def test_classes_that_make_no_places_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MOST_CLASSES", 30)
    monkeypatch.setattr(reader, "_LOOK_AFTER", 2)
    words = [f"w{number}" for number in range(8)]
    rules = rules_of(
        *(f'process where process.args : "*{word}*"' for word in words), 'file where process.args : "*w0*"'
    )
    documents = [
        {"event": {"category": "file"}, "process": {"args": [word for n, word in enumerate(words) if chosen >> n & 1]}}
        for chosen in range(256)
    ]
    detector = KernelDetector(rules)
    assert found(detector, documents) == found(ReferenceDetector(rules), documents)
    assert len(detector.compiled.tree.tables["process.args"].masks) < 40


def test_long_values_of_the_first_step_are_not_remembered() -> None:
    detector = KernelDetector(rules_of('any where event.action == "a" and event.type == "b"'))
    assert found(detector, [{"event": {"action": f"{n}" + "x" * 2000, "type": "b"}} for n in range(5)]) == []
    assert len(detector.compiled.tree._roots) == 0


@pytest.mark.parametrize("options", [{}, {"skip": False}, {"stream": True, "lateness_ns": 10**12}])
def test_an_event_of_many_hosts_belongs_to_each(options: dict[str, Any]) -> None:
    hosts: list[Any] = [*(f"h{number}" for number in range(500)), 7, True]
    rules = rules_of(
        "sequence by host.id with maxspan=5s [a where true] [b where true] until [c where true]",
        "sequence by user.name, host.id with maxspan=5s [a where true] ![b where true] [c where true]",
    )
    documents = [
        {"@timestamp": TIME + number, "event": {"category": kind}, "host": {"id": of}, "user": {"name": "u"}}
        for number, (kind, of) in enumerate(
            [("a", hosts), ("c", "h3"), ("b", ["h3", "h4"]), ("b", hosts[5:]), ("c", hosts), ("b", 7)]
        )
    ]
    expected = found(ReferenceDetector(rules), documents)
    assert len(expected) >= len(hosts)
    assert found(KernelDetector(rules, **options), documents) == expected


@pytest.mark.parametrize("options", [{}, {"skip": False}, {"stream": True, "lateness_ns": 10**9}])
def test_many_events_of_one_time_are_forgotten_at_once(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0
    expire = Machine._expire

    def counted(machine: Machine, key: Key, oldest_ns: int) -> None:
        nonlocal looked_at
        looked_at += sum(map(len, machine._pending.get(key, ())))
        expire(machine, key, oldest_ns)

    monkeypatch.setattr(Machine, "_expire", counted)
    rules = rules_of("sequence by host.id with maxspan=5s [a where true] [b where true]")
    documents = [
        {"@timestamp": TIME + ms, "event": {"category": "a"}, "host": {"id": "h"}}
        for ms in (0, 1000)
        for _ in range(500)
    ] + [{"@timestamp": TIME + 6500 + n, "event": {"category": "a"}, "host": {"id": "h"}} for n in range(300)]
    assert found(KernelDetector(rules, **options), documents, 100) == []
    # in order nothing continues these: they never come to a machine
    assert looked_at < 10 * len(documents)
    assert looked_at > 0 or not options
