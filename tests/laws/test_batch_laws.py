"""A batch is exact in bounded memory: in order, out of order, and where hardly anything may stay in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maxspan.engine.kernel import hit_spool, in_order
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.kernel.survivors import LineStore, Survivor
from maxspan.engine.match import RuleMatch
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.languages import plan
from maxspan.prover.judge import signature
from maxspan.sources.chunk import Chunk
from tests.engine.sequences import START, lines, queries, rules_of


def run(detector: KernelDetector | ReferenceDetector, given_: list[bytes]) -> list[RuleMatch]:
    found = [match for number, line in enumerate(given_, 1) for match in detector.feed(Chunk(line, first_line=number))]
    return sorted([*found, *detector.finish()], key=lambda match: repr(signature(match)))


@contextmanager
def little_memory() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hit_spool, "IN_MEMORY", 3)
        patch.setattr(in_order, "_HITS", 1)
        patch.setattr(in_order, "_SWEEP", 2)
        patch.setattr(in_order, "_STILL_NS", 2_000_000_000)
        yield


@settings(max_examples=150)
@given(st.lists(queries(), min_size=1, max_size=4), lines())
def test_little_memory_is_enough(made: list[plan.Query], given_: list[bytes]) -> None:
    rules = rules_of(made)
    expected = run(ReferenceDetector(rules), given_)
    with little_memory():
        assert run(KernelDetector(rules), given_) == expected
        assert run(KernelDetector(rules, skip=False), given_) == expected


@given(st.lists(st.tuples(st.binary(max_size=30), st.booleans()), max_size=60), st.integers(1, 100))
def test_lines_that_are_kept(given_: list[tuple[bytes, bool]], in_memory: int) -> None:
    store = LineStore(in_memory, segment=16)
    held = []
    for line, wanted in given_:
        survivor = Survivor(line, 0, "", 0, "", "")
        survivor.keep(store)
        if wanted:
            held.append((line, survivor.kept))
    assert [store.read(kept) for _, kept in held] == [line for line, _ in held]
    store.close()
    assert [store.read(kept) for _, kept in held] == [line for line, _ in held]


def test_what_is_over_is_forgotten() -> None:
    pair = plan.SequenceQuery(
        (plan.Field("key"),), (plan.Stage("a", plan.TRUE), plan.Stage("b", plan.TRUE)), 5_000_000_000
    )
    detector = KernelDetector(rules_of([pair]))
    for number in range(5000):
        for category, key in (("a", number), ("b", number - 1 if number % 100 == 0 else "none")):
            times = START + 100 * number
            line = f'{{"@timestamp": {times}, "event": {{"category": "{category}"}}, "key": "{key}"}}'
            detector.feed(Chunk(line.encode()))
    assert detector._in_order is not None
    (lane,) = detector._in_order.lanes.values()
    assert lane.machine is not None
    assert len(lane.begun) + len(lane.machine.state().pending) <= 51 + 100 + in_order._HITS
    assert len(detector.finish()) == 49


def test_what_begins_does_not_heap_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often what waits is given to machines: they forget it, though nothing ever continues it."""
    monkeypatch.setattr(in_order, "_MOST_BEGUN", 10)
    pair = plan.SequenceQuery(
        (plan.Field("key"),), (plan.Stage("a", plan.TRUE), plan.Stage("b", plan.TRUE)), 5_000_000_000
    )
    detector = KernelDetector(rules_of([pair]))
    for number in range(5000):
        line = f'{{"@timestamp": {START + 100 * number}, "event": {{"category": "a"}}, "key": "{number}"}}'
        detector.feed(Chunk(line.encode()))
    assert detector._in_order is not None
    (lane,) = detector._in_order.lanes.values()
    assert lane.machine is not None
    assert len(lane.begun) + len(lane.machine.state().pending) <= 80
    assert (detector._in_order._waiting, detector._in_order._waiting_bytes > 0) == (len(lane.begun), bool(lane.begun))
    assert detector.finish() == []


def test_a_full_disk_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes, offset: int) -> int:
        raise OSError(28, "No space left on device")

    pair = plan.SequenceQuery((), (plan.Stage("a", plan.TRUE), plan.Stage("b", plan.TRUE)), 5_000_000_000)
    given_ = [
        f'{{"@timestamp": {START + number}, "event": {{"category": "{"ab"[number % 2]}"}}}}'.encode()
        for number in range(20)
    ]
    rules = rules_of([pair])
    expected = run(KernelDetector(rules), given_)
    with little_memory():
        monkeypatch.setattr("os.pwrite", full)
        detector = KernelDetector(rules, skip=False)
        assert run(detector, given_) == expected
    (problem,) = detector.counters.problems
    assert (problem.code, problem.severity) == ("no-space", "warning")
    assert "No space left" in problem.message
