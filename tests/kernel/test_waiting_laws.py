"""What waits in the scanner is found as if it had been looked at once: sequences and samples, however events come."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maxspan
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.prover.judge import signature
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk

#: milliseconds since 1970 of the first event
BEGIN = 1_714_557_600_000


@pytest.fixture(autouse=True, scope="module")
def early(way: None) -> Iterator[None]:
    """Let the scanner decide from the second event of each kind on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("maxspan.engine.kernel.order._SAMPLES", 1)
        yield


def rules_of(*queries: str) -> list[Rule]:
    return [Rule(id=str(n), name=str(n), type="eql", plan=maxspan.parse(query)) for n, query in enumerate(queries)]


def run(detector: Any, lines: list[bytes], size: int = 1000) -> tuple[list[Any], dict[str, int]]:
    found = []
    for begin in range(0, len(lines), size):
        found += detector.feed(Chunk(b"\n".join(lines[begin : begin + size]) + b"\n", first_line=begin + 1))
    found += detector.finish()
    names = ("events", "unreadable", "without_timestamp", "matches", "bytes")
    return sorted(map(signature, found), key=repr), {name: getattr(detector.counters, name) for name in names}


def line(at_ms: int, category: str, k: str, host: str = '"x"', tie: str = "", *, l: str = '"1"') -> bytes:  # noqa: E741
    seconds, ms = divmod(BEGIN + at_ms, 1000)
    minutes, second = divmod(seconds - BEGIN // 1000, 60)
    hour, minute = divmod(minutes, 60)
    time = f"2024-05-01T{10 + hour:02}:{minute:02}:{second:02}.{ms:03}Z"
    sequence = f',"sequence":{tie}' if tie else ""
    event = f'{{"category":"{category}"{sequence}}}'
    return f'{{"@timestamp":"{time}","host":{{"id":{host}}},"event":{event},"k":{k},"l":{l}}}'.encode()


def warm(lines: list[bytes]) -> list[bytes]:
    """Let events of each kind come before, whose keys nothing else has."""
    return [line(0, category, '"none"', '"none"') for category in "abc" for _ in range(3)] + lines


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


texts = st.sampled_from(['"1"', '"2"', '"3"'])
keys = st.one_of(
    texts,
    texts,
    st.lists(texts, max_size=3).map(lambda values: "[" + ",".join(values) + "]"),
    st.sampled_from(
        ['"\\u0031"', "1", "null", '["1",null]', '["2",2]', "[" + ",".join(f'"{n}"' for n in range(26)) + "]"]
    ),
)
by = st.sampled_from(["k", "k, host.id", "host.id, k", "k, l", "k, ?l", "?k, host.id", "l", "host.id"])
categories = st.lists(st.sampled_from(["a", "b", "c", "any"]), min_size=2, max_size=4)


@st.composite
def sequence(draw: st.DrawFn) -> str:
    maxspan_ = draw(st.sampled_from(["1s", "5s", "1m", "1h"]))
    stages = [f"[{category} where true]" for category in draw(categories)]
    if draw(st.integers(0, 4)) == 0:
        stages[draw(st.integers(0, len(stages) - 1))] += " with runs=2"
    if draw(st.integers(0, 4)) == 0:
        stages.append("until [c where true]")
    return f"sequence by {draw(by)} with maxspan={maxspan_} {' '.join(stages)}"


@st.composite
def sample(draw: st.DrawFn) -> str:
    stages = " ".join(f"[{category} where true]" for category in draw(categories)[:3])
    return f"sample by {draw(st.sampled_from(['k', 'k, host.id', 'host.id']))} {stages}"


@st.composite
def events(draw: st.DrawFn) -> list[bytes]:
    steps = draw(st.sampled_from([(0, 1), (0, 1, 1000), (1, 1000, 6000), (1, 1000, 70_000, -1), (1, 1000, -5000)]))
    ties = itertools.count() if draw(st.booleans()) else itertools.repeat("")
    hosts = draw(st.sampled_from([('"x"',), ('"x"', '"y"'), ('"x"', '"\\u0078"', "null", '["x"]', '["x","y"]')]))
    now = 10_000
    out = []
    for _ in range(draw(st.integers(0, 30))):
        now = max(0, now + draw(st.sampled_from(steps)))
        category, host = draw(st.sampled_from("abc")), draw(st.sampled_from(hosts))
        out.append(line(now, category, draw(keys), host, str(next(ties)), l=draw(texts)))
    return out


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
