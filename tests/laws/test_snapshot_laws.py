"""A stream that goes on from a snapshot gives what it would have given without."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.kernel.snapshot import VERSION, BadSnapshot
from maxspan.engine.match import RuleMatch
from maxspan.errors import UsageError
from maxspan.languages import plan
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk
from tests.engine.sequences import START, lines, queries, rules_of


def feed(stream: KernelDetector, given_: list[bytes], first: int) -> list[RuleMatch]:
    found: list[RuleMatch] = []
    for number, line in enumerate(given_, first):
        found += stream.feed(Chunk(line, first_line=number))
    return found


@settings(max_examples=250)
@given(
    st.lists(queries(), min_size=1, max_size=3),
    lines(),
    st.lists(st.integers(0, 60), min_size=1, max_size=3),
    st.sampled_from([0, 500_000_000, 3_000_000_000, 10**15]),
    st.sampled_from([1, 100]),
)
def test_a_stream_goes_on(
    made: list[plan.Query], given_: list[bytes], cuts: list[int], lateness_ns: int, most_keys: int
) -> None:
    rules = rules_of(made)
    whole = KernelDetector(rules, stream=True, lateness_ns=lateness_ns, most_keys=most_keys)
    expected = [*feed(whole, given_, 1), *whole.finish()]
    stream = KernelDetector(rules, stream=True, lateness_ns=lateness_ns, most_keys=most_keys)
    found: list[RuleMatch] = []
    begin = 0
    for cut in sorted(cuts):
        found += feed(stream, given_[begin:cut], begin + 1)
        begin = max(begin, cut)
        snapshot = stream.snapshot()
        assert stream.snapshot() == snapshot
        stream = KernelDetector.restore(rules, snapshot, lateness_ns=lateness_ns, most_keys=most_keys)
    found += [*feed(stream, given_[begin:], begin + 1), *stream.finish()]
    assert found == expected
    assert stream.counters == whole.counters


A, B = plan.Stage("a", plan.TRUE), plan.Stage("b", plan.TRUE)
PAIR = plan.SequenceQuery((plan.Field("key"),), (A, B), 10 * 10**9)


def line(category: str, at: int, key: str = '"k"') -> bytes:
    return f'{{"@timestamp": {START + at}, "event": {{"category": "{category}"}}, "key": {key}}}'.encode()


@pytest.mark.parametrize("key", ["99999999999999999999999999", "-1.5", "true", '"\\u0000é"', "18446744073709551615"])
@pytest.mark.parametrize("lateness_ns", [0, 30 * 10**9])
def test_keys_of_all_kinds(key: str, lateness_ns: int) -> None:
    rules = rules_of([PAIR])
    stream = KernelDetector(rules, stream=True, lateness_ns=lateness_ns)
    feed(stream, [line("a", 0, key)], 1)
    stream = KernelDetector.restore(rules, stream.snapshot(), lateness_ns=lateness_ns)
    (match,) = [*feed(stream, [line("b", 1, key)], 2), *stream.finish()]
    assert [event and event.line for event in match.events] == [1, 2]


def test_what_changed_rules_had_begun_is_forgotten_and_told() -> None:
    rules = [replace(rule, name=f"rule {rule.id}") for rule in rules_of([PAIR, PAIR, PAIR])]
    stream = KernelDetector(rules, stream=True, lateness_ns=0)
    feed(stream, [line("a", 0)], 1)
    now = [replace(rules[0]), replace(rules[1], plan=replace(PAIR, maxspan_ns=5 * 10**9))]
    stream = KernelDetector.restore(now, stream.snapshot(), lateness_ns=0)
    assert [(p.code, p.severity, p.rule_name, p.message.split(" since")[0]) for p in stream.counters.problems] == [
        ("snapshot-rule", "warning", "rule 1", "the rule has changed"),
        ("snapshot-rule", "warning", "rule 2", "the rule is gone"),
    ]
    (match,) = feed(stream, [line("b", 1)], 2)
    assert match.rule is now[0]
    assert len(feed(stream, [line("a", 2), line("b", 3)], 3)) == 2


def _snapshot(rules: list[Rule]) -> bytes:
    stream = KernelDetector(rules, stream=True)
    feed(stream, [line("a", 0)], 1)
    return stream.snapshot()


def test_bytes_that_are_no_snapshot() -> None:
    rules = rules_of([PAIR])
    good = _snapshot(rules)
    for bad in (b"", b"maxspan", good[:-1], good[:40], good.replace(b"\x00", b"\x01"), b"x" + good):
        with pytest.raises(BadSnapshot, match="snapshot-damaged"):
            KernelDetector.restore(rules, bad)
    newer = good.replace(b"snapshot %d" % VERSION, b"snapshot %d" % (VERSION + 1), 1)
    with pytest.raises(BadSnapshot, match=f"version {VERSION + 1}"):
        KernelDetector.restore(rules, newer)
    with pytest.raises(BadSnapshot, match="snapshot-options"):
        KernelDetector.restore(rules, good, lateness_ns=1)
    with pytest.raises(BadSnapshot, match="snapshot-options"):
        KernelDetector.restore(rules, good, ignore_index=True)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_damage_goes_unseen(at: int, change: int) -> None:
    rules = rules_of([PAIR])
    data = bytearray(_snapshot(rules))
    data[at % len(data)] ^= change
    with pytest.raises(BadSnapshot):
        KernelDetector.restore(rules, bytes(data))


def test_a_batch_has_no_snapshot() -> None:
    with pytest.raises(UsageError, match="stream"):
        KernelDetector(rules_of([PAIR])).snapshot()
