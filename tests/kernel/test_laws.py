"""The kernel finds what the reference finds: generated rules and events, any order, any chunks, in batch and stream."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.kernel.literals import LiteralPatterns
from maxspan.engine.kernel.patterns import FieldPatterns, PatternSet
from maxspan.engine.kernel.text_tests import text_test
from maxspan.engine.reference.condition import Evaluator
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.errors import QueryError
from maxspan.languages import plan
from maxspan.languages.casefold import fold
from maxspan.languages.eql.patterns import wildcard_test
from maxspan.languages.eql.verify import verify
from maxspan.prover.judge import signature
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk
from tests.laws.eql_texts import conditions, documents, sequences

TIMES = ["2024-05-01T10:00:00.000Z", "2024-05-01T10:00:00.001Z", "2024-05-01T10:00:04Z", 1714557605000, None, "no time"]


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    document = dict(draw(documents))
    document["@timestamp"] = draw(st.sampled_from(TIMES))
    document["event.category"] = draw(st.sampled_from(["a", "b", ["a", "b"], "my-cat", None, 3]))
    if draw(st.booleans()):
        document["event.sequence"] = draw(st.integers(0, 3))
    return nested(document) if draw(st.booleans()) else document


def nested(document: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in document.items():
        *path, last = key.split(".")
        here = out
        for part in path:
            here = here.setdefault(part, {})
        here[last] = value
    return out


def rules_of(queries: list[plan.Query]) -> list[Rule]:
    out = []
    for number, query in enumerate(queries):
        try:
            out.append(Rule(id=str(number), name=str(number), type="eql", plan=verify(query)))
        except QueryError:
            continue
    return out


def run(detector: Any, lines: list[bytes], size: int) -> list[Any]:
    found = []
    for begin in range(0, len(lines), size):
        found += detector.feed(Chunk(b"\n".join(lines[begin : begin + size]) + b"\n", first_line=begin + 1))
    return sorted(map(signature, [*found, *detector.finish()]), key=repr)


queries = st.lists(
    st.one_of(sequences(), conditions.map(lambda where: plan.EventQuery(plan.Stage(None, where)))),
    min_size=1,
    max_size=4,
)


@given(queries, st.lists(events(), max_size=12), st.integers(1, 12), st.booleans())
def test_kernel_is_reference(made: list[plan.Query], given_: list[dict[str, Any]], size: int, wrapped: bool) -> None:
    rules = rules_of(made)
    lines = [
        json.dumps({"_index": "i", "_source": e} if wrapped and n % 2 else e).encode() for n, e in enumerate(given_)
    ]
    lines.insert(len(lines) // 2, b"{ broken")
    reference, kernel = ReferenceDetector(rules), KernelDetector(rules)
    expected = run(reference, lines, size)
    assert run(kernel, lines, size) == expected
    for name in ("events", "unreadable", "without_timestamp", "matches", "bytes"):
        assert getattr(kernel.counters, name) == getattr(reference.counters, name), name
    unlimited = [rule for rule in rules if not isinstance(rule.plan, plan.SampleQuery) and not rule.plan.pipes]  # type: ignore[union-attr]
    stream = KernelDetector(unlimited, stream=True, lateness_ns=10**18)
    assert run(stream, lines, size) == run(ReferenceDetector(unlimited), lines, size)
    assert stream.counters.late == 0


@given(queries, st.lists(events(), max_size=12), st.integers(1, 12))
def test_with_and_without_skipping(made: list[plan.Query], given_: list[dict[str, Any]], size: int) -> None:
    rules = rules_of(made)
    lines = [json.dumps(event).encode() for event in given_]
    assert run(KernelDetector(rules, skip=False), lines, size) == run(KernelDetector(rules), lines, size)


@given(queries, st.lists(events(), max_size=10), st.integers(0, 1000))
def test_a_stream_in_order_needs_no_lateness(made: list[plan.Query], given_: list[dict[str, Any]], seed: int) -> None:
    """With each event later than the one before, nothing is late and nothing is missing."""
    rules = [rule for rule in rules_of(made) if not rule.plan.pipes]  # type: ignore[union-attr]
    chance = random.Random(seed)
    now = 1714557600000
    lines = []
    for event in given_:
        now += chance.choice([1, 500, 4000, 70_000])
        event = {key: value for key, value in event.items() if key != "@timestamp"} | {"@timestamp": now}
        lines.append(json.dumps(event).encode())
    stream = KernelDetector(rules, stream=True, lateness_ns=0)
    assert run(stream, lines, 1) == run(ReferenceDetector(rules), lines, 1)
    assert stream.counters.late == 0


def test_late_events_are_counted_and_left_out() -> None:
    query = plan.SequenceQuery((), (plan.Stage("a", plan.TRUE), plan.Stage("b", plan.TRUE)), 5_000_000_000)
    stream = KernelDetector(rules_of([query]), stream=True, lateness_ns=1_000_000_000)
    lines = [
        f'{{"@timestamp": {t}, "event.category": "{c}"}}'.encode() for t, c in [(9000, "a"), (9500, "a"), (7000, "a")]
    ]
    assert run(stream, lines, 1) == []
    assert stream.counters.late == 1


@pytest.mark.parametrize("key", ["host.id", "n"])
@pytest.mark.parametrize("pause", [False, True])
def test_no_event_is_late_where_none_has_come_before(key: str, pause: bool) -> None:
    """Time that goes on without events makes late what comes then, but not at hosts of which nothing has come."""
    query = plan.SequenceQuery((plan.Field(key),), (plan.Stage("a", plan.TRUE), plan.Stage("b", plan.TRUE)), 5 * 10**9)
    rules = rules_of([query])
    stream = KernelDetector(rules, stream=True, lateness_ns=1_000_000_000)
    if pause:
        stream.snapshot()
    assert stream.advance(60 * 10**9) == []
    lines = [f'{{"@timestamp":"1970-01-01T00:00:0{n}Z","event":{{"category":"{c}"}}' for n, c in ((7, "a"), (8, "b"))]
    lines = [f'{line},"host":{{"id":"x"}},"n":"1"}}' for line in lines]
    assert len(run(stream, [line.encode() for line in lines], 1)) == 1
    assert stream.counters.late == 0


def test_an_event_that_is_exactly_as_late_as_allowed_finds_its_place() -> None:
    query = plan.SequenceQuery((), (plan.Stage("a", plan.TRUE), plan.Stage("b", plan.TRUE)), 5_000_000_000)
    rules = rules_of([query])
    events = [(7000, 2, "b"), (8000, 3, "c"), (7000, 1, "a")]
    lines = [f'{{"@timestamp": {t}, "event": {{"category": "{c}", "sequence": {n}}}}}'.encode() for t, n, c in events]
    expected = run(ReferenceDetector(rules), lines, 1)
    assert len(expected) == 1
    stream = KernelDetector(rules, stream=True, lateness_ns=1_000_000_000)
    assert run(stream, lines, 1) == expected
    assert stream.counters.late == 0


@pytest.mark.parametrize("stream", [False, True])
def test_an_event_of_two_hosts_continues_sequences_of_both(stream: bool) -> None:
    query = plan.SequenceQuery(
        (plan.Field("host.id"),), (plan.Stage("a", plan.TRUE), plan.Stage("b", plan.TRUE)), 5_000_000_000
    )
    rules = rules_of([query])
    events = [(["x", "y"], "a"), ("y", "b"), ("x", "b"), ("y", "a"), (["z", "y", 3], "b"), (3, "a"), (3, "b")]
    lines = [
        json.dumps({"@timestamp": 7000 + n, "event": {"category": category}, "host": {"id": host}}).encode()
        for n, (host, category) in enumerate(events)
    ]
    expected = run(ReferenceDetector(rules), lines, 1)
    assert len(expected) == 4
    assert run(KernelDetector(rules, stream=stream), lines, 2) == expected


def test_keys_beyond_the_bound_are_evicted_and_counted() -> None:
    query = plan.SequenceQuery((plan.Field("n"),), (plan.Stage("a", plan.TRUE), plan.Stage("b", plan.TRUE)))
    stream = KernelDetector(rules_of([query]), stream=True, lateness_ns=0, most_keys=10)
    lines = [f'{{"@timestamp": {1000 + n}, "event.category": "a", "n": {n}}}'.encode() for n in range(25)]
    lines += [f'{{"@timestamp": {5000 + n}, "event.category": "b", "n": {n}}}'.encode() for n in range(25)]
    assert len(run(stream, lines, 5)) == 10
    assert stream.counters.evicted == 15


@pytest.mark.parametrize("memory", [1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 26])
def test_a_set_that_runs_out_of_memory_misses_nothing(memory: int) -> None:
    """RE2 says nothing when its automaton does not fit: then each pattern is asked on its own."""
    small = PatternSet(max_memory=memory)
    tests = {}
    for number in range(40):
        pattern = f"(?s).*[a-f]{{{number % 7 + 3}}}x{number}.*"
        tests[number] = re2.compile(pattern)
        small.add(pattern, 1 << number, lambda value, n=number: tests[n].fullmatch(value) is not None)
    small.compile()
    for value in ("abcdefabcdefx7 and more", "nothing", "a" * 300 + "x39", "abcx0 abcdx1"):
        expected = sum(1 << number for number, test in tests.items() if test.fullmatch(value) is not None)
        assert small.bits(value) == expected


@pytest.mark.parametrize("memory", [1 << 12, 1 << 14, 1 << 16, 1 << 26])
def test_wildcards_that_run_out_of_memory_miss_nothing(memory: int) -> None:
    small = LiteralPatterns(max_memory=memory)
    patterns = [f"*{word}*{number}" for number in range(40) for word in ("Abc", "cba", f"x{number}")]
    for number, pattern in enumerate(patterns):
        small.add(pattern, 1 << number, insensitive=number % 2 == 0)
    small.compile()
    for value in ("xabcx7", "Abc 17 cba 21 x3 3", "a" * 300 + "x39 39", "nothing", "ABC0"):
        expected = sum(
            wildcard_test(pattern, insensitive=number % 2 == 0)(value) << number
            for number, pattern in enumerate(patterns)
        )
        assert small.bits(value, fold(value)) == expected


@pytest.mark.parametrize(
    "line",
    [
        b'{"process.name": "bash"}',
        b'{"process": {"name": ["zsh", "bash"]}}',
        b'{"process": {"pid": 1}, "process.name": "bash"}',
        b'{"process": [{"name": "zsh"}, {"name": "bash"}]}',
        b'{"process\\u002ename": "bash"}',
        b'{"_source": {"process": {"name": "bash"}}}',
        b'{"process": {"name": "bash"}, "user": null, "x": "\xff"}',
        b'\xef\xbb\xbf{"process": {"name": "bash"}}',
        b'{"process": {"name": [["bash"]]}}',
    ],
)
def test_however_it_is_written(line: bytes) -> None:
    where = plan.Comparison("==", plan.Field("process.name"), plan.Literal("bash"))
    rules = rules_of([plan.EventQuery(plan.Stage(None, where))])
    assert len(run(ReferenceDetector(rules), [line], 1)) == 1
    assert len(run(KernelDetector(rules), [line], 1)) == 1
    assert len(run(KernelDetector(rules), [b'{"process": {"name": "x"}}', line], 2)) == 1


@pytest.mark.parametrize(
    "data",
    [
        b'{"process": {"name": [{"name": "bash"}, {"name": "zsh"}]}}\n',
        b'{"process": {"name": [["bash", ["x"]], {}]}}\n',
        b'{"process":\n{"name": "bash"}}\n',
        b'{"process":\n{"name": "zsh"}}\n',
        b'{"process": {"name": "bash"}} {"process": {"name": "bash"}}\n',
        b'{"process": {"name": "zsh"}}{"process": {"name": "bash"}}\n{"process":\n{"name": "bash"}}\n',
        b' {"process": {"name": "bash"}} \r\n{"process": {"name": "bash"}}\r',
        b'\n{"process": {"name": "bash"}}\n\n',
        b"",
    ],
)
def test_odd_chunks_are_what_the_reference_says(data: bytes) -> None:
    """Lists that hold objects or lists, and lines that hold less or more than one object."""
    name = plan.Field("process.name")
    twice = plan.Comparison("==", plan.Call("concat", (name, name)), plan.Literal("bashbash"))
    equal = plan.Comparison("==", name, plan.Literal("bash"))
    rules = rules_of([plan.EventQuery(plan.Stage(None, where)) for where in (twice, equal)])
    reference, kernel = ReferenceDetector(rules), KernelDetector(rules)
    expected = [*reference.feed(Chunk(data)), *reference.finish()]
    found = [*kernel.feed(Chunk(data)), *kernel.finish()]
    assert sorted(map(signature, found), key=repr) == sorted(map(signature, expected), key=repr)
    assert (kernel.counters.events, kernel.counters.unreadable) == (
        reference.counters.events,
        reference.counters.unreadable,
    )


def test_what_is_remembered_can_be_forgotten_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for next to nothing the answers are the same."""
    monkeypatch.setattr("maxspan.engine.kernel.tree.MOST_CLASSES", 3)
    monkeypatch.setattr("maxspan.engine.kernel.tree.MOST_PLACES", 5)
    monkeypatch.setattr("maxspan.engine.kernel.tables.MOST_VALUES", 4)
    chance = random.Random(7)
    words = ["a", "b", "ab", "ba", "abc", "x"]
    patterns = [plan.Like(plan.Field(name), (f"*{word}*",), ":") for name in ("n", "m") for word in words]
    wheres = [plan.And((chance.choice(patterns), plan.Not(chance.choice(patterns)))) for _ in range(12)]
    rules = rules_of([plan.EventQuery(plan.Stage(None, where)) for where in wheres])
    lines = [
        json.dumps({"n": chance.choice(words) + chance.choice(words), "m": chance.sample(words, 2)}).encode()
        for _ in range(300)
    ]
    expected = run(ReferenceDetector(rules), lines, 10)
    assert len(expected) > 100
    assert run(KernelDetector(rules), lines, 10) == expected


_ADDRESSES = st.sampled_from(
    ["10.1.2.3", "::ffff:10.1.2.3", "::1", "fe80::1", "255.255.255.255", "0.0.0.0", "10.1", "x"]
)
_BLOCKS = st.sampled_from(["10.0.0.0/8", "10.1.2.3", "::/0", "0.0.0.0/0", "::ffff:10.1.0.0/112", "fe80::/10", "bad"])
_NAME = plan.Field("n")


@given(
    st.one_of(
        st.lists(_BLOCKS, min_size=1, max_size=3).map(
            lambda blocks: plan.Call("cidrMatch", (_NAME, *map(plan.Literal, blocks)))
        ),
        st.builds(
            lambda op, number: plan.Comparison(op, plan.Call("length", (_NAME,)), plan.Literal(number)),
            st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
            st.sampled_from([0, 1, 2, 2.0, 3.5, "1", True]),
        ),
        st.builds(
            lambda op, value: plan.Comparison(op, _NAME, plan.Literal(value)),
            st.sampled_from(["<", "<=", ">", ">="]),
            st.sampled_from(["", "10", "b", 1, None, True]),
        ),
        st.builds(
            lambda function, part, insensitive: plan.Call(function, (_NAME, plan.Literal(part)), insensitive),
            st.sampled_from(["startsWith", "endsWith", "stringContains"]),
            st.text("aAßſKk.", min_size=1, max_size=2),
            st.booleans(),
        ),
    ),
    st.one_of(_ADDRESSES, st.text(max_size=4), st.text("aAßſKk.", max_size=4)),
)
def test_quick_tests_are_the_reference(leaf: plan.Leaf, value: str) -> None:
    test = text_test(leaf)
    if test is not None:
        assert test(value) is Evaluator({}).leaf(leaf, {"n": [value]})


@given(
    st.lists(st.text("abAßſK*?.", min_size=1, max_size=7), min_size=1, max_size=40), st.text("abAßſKk.\n", max_size=9)
)
def test_wildcards_together_are_wildcards_alone(patterns: list[str], value: str) -> None:
    every = FieldPatterns()
    for number, pattern in enumerate(patterns):
        every.add_like(plan.Like(_NAME, (pattern,), ":"), pattern, 1 << 2 * number)
        every.add_like(plan.Like(_NAME, (pattern,), "like"), pattern, 1 << 2 * number + 1)
    every.compile()
    expected = 0
    for number, pattern in enumerate(patterns):
        expected |= wildcard_test(pattern, insensitive=True)(value) << 2 * number
        expected |= wildcard_test(pattern, insensitive=False)(value) << 2 * number + 1
    assert every.bits(value, fold(value)) == expected


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", 'x.a"b'])
def test_fields_with_names_that_json_escapes_are_read(name: str) -> None:
    rules = rules_of([plan.EventQuery(plan.Stage(None, plan.Comparison("==", plan.Field(name), plan.Literal("v"))))])
    lines = [json.dumps({name: "v"}).encode(), json.dumps({name: "w", "n": "v"}).encode()]
    expected = run(ReferenceDetector(rules), lines, 2)
    assert len(expected) == 1
    assert run(KernelDetector(rules), lines, 2) == expected


def test_a_wrapper_without_names_goes_as_well() -> None:
    rules = rules_of([plan.EventQuery(plan.Stage(None, plan.Comparison("==", plan.Field("n"), plan.Literal(1))))])
    for detector in (ReferenceDetector(rules), KernelDetector(rules)):
        (match,) = [*detector.feed(Chunk(b'{"_source": {"n": 1}}\n')), *detector.finish()]
        assert match.events[0] is not None and match.events[0].document() == {"n": 1}
