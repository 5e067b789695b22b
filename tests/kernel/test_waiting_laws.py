"""What waits in the scanner is found as if it had been looked at once: sequences and samples, however events come."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.prover.judge import signature
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk
from tests.kernel.waiting import BEGIN, events, line, rules_of, run, sample, sequence, warm


@pytest.fixture(autouse=True, scope="module")
def early(way: None) -> Iterator[None]:
    """Let the scanner decide from the second event of each kind on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("maxspan.engine.kernel.order._SAMPLES", 1)
        yield


def test_events_of_several_keys_stay_in_order() -> None:
    """The latest event of a key is continued, also when an event with other keys, too, has been taken before it."""
    rules = rules_of("sequence by k with maxspan=1h [a where true] [b where true]")
    lines = warm([line(1, "a", '"2"'), line(2, "a", '["1","2"]'), line(3, "b", '"1"'), line(4, "b", '"2"')])
    expected = [("0", (10, 11), ("1",)), ("0", (10, 12), ("2",))]
    assert run(ReferenceDetector(rules), lines)[0][:2] == run(KernelDetector(rules), lines)[0][:2] == expected


def test_a_host_whose_events_come_after_those_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What began there hours before the latest event of all is continued, whether its host stands still or not."""
    monkeypatch.setattr("maxspan.engine.kernel.in_order._SWEEP", 2)
    rules = rules_of("sequence by k, host.id with maxspan=5s [a where true] [b where true]")
    hours = 3 * 3_600_000
    later = [line(hours + n, "a", f'"{n}"', '"y"') for n in range(20)]
    for between in (0, 20):
        first = [line(n, "a", f'"{n}"') for n in range(20)]
        more = [line(hours + 100 + n, "a", f'"{n}"', '"y"') for n in range(between)]
        lines = warm([*later, *first, *more, line(30, "b", '"5"')])
        for size in (1, 1000):
            assert len(run(KernelDetector(rules), lines, size)[0]) == 2
        assert run(KernelDetector(rules), lines) == run(ReferenceDetector(rules), lines)


@pytest.mark.parametrize("where", ["false", "k == 1 and k == 2", "not true"])
def test_a_first_event_that_there_cannot_be(where: str) -> None:
    """Such a rule finds nothing, and the others find what they find."""
    rules = rules_of(
        f"sequence by k with maxspan=1h [a where {where}] [b where true]",
        "sequence by k with maxspan=1h [a where true] [b where true]",
    )
    lines = warm([line(1, "a", '"1"'), line(2, "b", '"1"')])
    expected = run(ReferenceDetector(rules), lines)
    assert expected[1]["matches"] > 0
    assert run(KernelDetector(rules), lines) == expected


@given(
    st.lists(st.one_of(sequence(), sequence(), sample(), st.just("a where k == null")), min_size=1, max_size=4),
    events(),
    st.sampled_from([1, 5, 1000]),
    st.booleans(),
)
def test_what_waits_is_found(queries: list[str], lines: list[bytes], size: int, odd: bool) -> None:
    rules = rules_of(*queries)
    lines = warm(lines)
    if odd:
        lines[-4:-4] = [b"{ broken", json.dumps({"_source": json.loads(lines[-1])}).encode()]
    assert run(KernelDetector(rules), lines, size) == run(ReferenceDetector(rules), lines, size)


def _stream(
    rules: Sequence[Rule], lines: list[bytes], size: int, lateness_ns: int, seed: int
) -> tuple[list[str], object]:
    """Run a stream with pauses, snapshots and time that goes on; gives what each step found, and the counters."""
    chance = random.Random(seed)
    stream = KernelDetector(rules, stream=True, lateness_ns=lateness_ns)
    steps = []
    for begin in range(0, len(lines), size):
        found = stream.feed(Chunk(b"\n".join(lines[begin : begin + size]) + b"\n", first_line=begin + 1))
        what = chance.random()
        if what < 0.1:
            found += stream.advance((BEGIN + chance.choice([0, 10_000, 12_000, 20_000, 70_000])) * 1_000_000)
        elif what < 0.2:
            stream = KernelDetector.restore(rules, stream.snapshot(), lateness_ns=lateness_ns)
        elif what < 0.25:
            stream.snapshot()
        steps.append(found)
    steps.append(stream.finish())
    return [repr(sorted(map(signature, found), key=repr)) for found in steps], stream.counters


@given(
    st.lists(st.one_of(sequence(), sequence(), sample()), min_size=1, max_size=4),
    events(),
    st.sampled_from([1, 3]),
    st.sampled_from([0, 1, 500, 1000, 5000, 100_000]),
    st.integers(0, 2**32),
)
def test_a_stream_is_the_same_without_the_scanner(
    queries: list[str], lines: list[bytes], size: int, lateness_ms: int, seed: int
) -> None:
    """At each step, whatever is late, with time that goes on, and from snapshots."""
    rules = rules_of(*queries)
    given_ = rules, warm(lines), size, lateness_ms * 1_000_000, seed
    found = _stream(*given_)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("maxspan.engine.kernel.native.scan", None)
        assert found == _stream(*given_)
