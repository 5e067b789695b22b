"""Rules and events whose first events and samples wait in the scanner: plain lines, times as texts, any keys."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import strategies as st

import maxspan
from maxspan.prover.judge import signature
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk

#: milliseconds since 1970 of the first event
BEGIN = 1_714_557_600_000


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
    maxspan = draw(
        st.sampled_from([" with maxspan=1s", " with maxspan=5s", " with maxspan=1m", " with maxspan=1h", ""])
    )
    stages = [f"[{category} where true]" for category in draw(categories)]
    if draw(st.integers(0, 4)) == 0:
        stages[draw(st.integers(0, len(stages) - 1))] += " with runs=2"
    if maxspan and draw(st.integers(0, 4)) == 0:
        stages.insert(draw(st.integers(0, len(stages))), f"![{draw(st.sampled_from('abc'))} where true]")
    if draw(st.integers(0, 4)) == 0:
        stages.append("until [c where true]")
    return f"sequence by {draw(by)}{maxspan} {' '.join(stages)}"


@st.composite
def sample(draw: st.DrawFn) -> str:
    stages = " ".join(f"[{category} where true]" for category in draw(categories)[:3])
    return f"sample by {draw(st.sampled_from(['k', 'k, host.id', 'host.id']))} {stages}"


@st.composite
def events(draw: st.DrawFn, most: int = 30) -> list[bytes]:
    steps = draw(st.sampled_from([(0, 1), (0, 1, 1000), (1, 1000, 6000), (1, 1000, 70_000, -1), (1, 1000, -5000)]))
    ties = itertools.count() if draw(st.booleans()) else itertools.repeat("")
    hosts = draw(st.sampled_from([('"x"',), ('"x"', '"y"'), ('"x"', '"\\u0078"', "null", '["x"]', '["x","y"]')]))
    now = 10_000
    out = []
    for _ in range(draw(st.integers(0, most))):
        now = max(0, now + draw(st.sampled_from(steps)))
        category, host = draw(st.sampled_from("abc")), draw(st.sampled_from(hosts))
        out.append(line(now, category, draw(keys), host, str(next(ties)), l=draw(texts)))
    return out
