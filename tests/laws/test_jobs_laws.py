"""Several runs, joined, find what one process finds: any cuts, any order of events, unreadable lines."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maxspan.engine.detector import Counters
from maxspan.engine.jobs.detector import JobsDetector
from maxspan.engine.jobs.joining import Joining
from maxspan.engine.jobs.parts import Part
from maxspan.engine.jobs.run import Joined, Run
from maxspan.engine.kernel import native
from maxspan.engine.kernel.compiled import CompiledRules
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.match import RuleMatch
from maxspan.languages import plan
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk
from maxspan.sources.files import EventFiles
from tests.engine.sequences import START, lines, queries, rules_of
from tests.kernel import waiting
from tests.kernel.asked import resident


def one_process(rules: Sequence[Rule], chunks: Sequence[Chunk]) -> tuple[list[RuleMatch], Counters]:
    detector = KernelDetector(rules)
    found = [match for chunk in chunks for match in detector.feed(chunk)]
    return [*found, *detector.finish()], detector.counters


def joined(rules: Sequence[Rule], chunks: Sequence[Chunk], cuts: set[int]) -> tuple[list[RuleMatch], Counters]:
    """Run chunks in runs that begin at the cuts, each without knowing of the others, then join them."""
    compiled, counters = CompiledRules(rules), Counters()
    joining = Joining(compiled, counters)
    begins = sorted({0, *(cut for cut in cuts if cut < len(chunks))})
    out: list[RuleMatch] = []
    runs: list[Run] = []
    for begin, end in zip(begins, [*begins[1:], len(chunks)], strict=True):
        run = Run(compiled, begin, ordered=True, chunk_bytes=65536)
        parts = [Part("chunks", chunks=(chunk,)) for chunk in chunks[begin:end]]
        results = [run.take(part) for part in parts]
        last = end == len(chunks)
        summary = run.end(last=last)
        if not parts:
            continue
        joining.begin(begin, parts[0])
        out += [match for result in results for found in joining.take(begin, result) for match in found]
        told = run.join(joining.states_for(summary), last=last)
        joining.join(begin, parts[-1], summary, told)
        while told.more:
            told = run.sequences(Joined())
            joining.take_sequences(told)
        run.let_go()
        runs.append(run)
    complete = joining.complete_samples()
    for run in runs:
        joining.take_samples(run.samples(complete))
    out += joining.finish()
    unsure = [rule.rule for rule in compiled.rules if rule.number in joining.unsure]
    again = KernelDetector(unsure, skip=False)
    out += [match for chunk in chunks for match in again.feed(chunk)]
    out += again.finish()
    counters.matches = len(out)
    return out, counters


@settings(max_examples=250)
@given(
    st.lists(queries(), min_size=2, max_size=5),
    lines(),
    st.sampled_from([0.0, 0.05, 0.2, 0.4]),
    st.integers(0, 2**32),
    st.integers(1, 3),
)
def test_runs_that_are_joined_are_one(
    made: list[plan.Query], given_: list[bytes], density: float, seed: int, size: int
) -> None:
    rules = rules_of(made)
    chance = random.Random(seed)
    cuts = {cut for cut in range(1, len(given_)) if chance.random() < density}
    chunks = [
        Chunk(b"\n".join(given_[at : at + size]) + b"\n", first_line=at + 1) for at in range(0, len(given_), size)
    ]
    found, counters = joined(rules, chunks, cuts)
    expected, expected_counters = one_process(rules, chunks)
    assert counters == expected_counters
    # rules that are unsure come last, in the order of rules: they need not be the same ones
    assert sorted(found, key=_order) == sorted(expected, key=_order)
    assert [m for m in found if len(m.events) == 1] == [m for m in expected if len(m.events) == 1]


@settings(max_examples=400)
@given(
    st.lists(st.one_of(waiting.sequence(), waiting.sequence(), waiting.sample()), min_size=1, max_size=4),
    waiting.events(most=60),
    st.sampled_from([0.05, 0.2, 0.4]),
    st.integers(0, 2**32),
    st.sampled_from([0, 1 << 20]),
)
def test_what_the_scanner_puts_aside_is_found(
    texts: list[str], given_: list[bytes], density: float, seed: int, most: int
) -> None:
    rules = waiting.rules_of(*texts)
    chance = random.Random(seed)
    begin = waiting.warm([])
    given_ = begin + given_
    cuts = {cut for cut in range(len(begin) - 2, len(given_)) if chance.random() < density}
    chunks = [Chunk(one + b"\n", first_line=number + 1) for number, one in enumerate(given_)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("maxspan.engine.kernel.order._SAMPLES", 1)
        patch.setattr("maxspan.engine.jobs.aside._MOST_BYTES", most)
        patch.setattr("maxspan.engine.jobs.run._MOST_BYTES", most or 1)
        found, counters = joined(rules, chunks, cuts)
        expected, expected_counters = one_process(rules, chunks)
    assert counters == expected_counters
    assert sorted(found, key=_order) == sorted(expected, key=_order)


def _order(match: RuleMatch) -> str:
    return repr((match.rule.id, [event and event.position for event in match.events], match.join_keys))


@settings(max_examples=25)
@given(
    st.lists(queries(), min_size=1, max_size=3),
    st.lists(lines(most=30), min_size=1, max_size=3),
    st.sampled_from([2, 3]),
    st.sampled_from([64, 512, 4096]),
)
def test_processes_are_one(made: list[plan.Query], files: list[list[bytes]], jobs: int, part_bytes: int) -> None:
    rules = rules_of(made)
    with TemporaryDirectory() as folder:
        paths = []
        for number, given_ in enumerate(files):
            paths.append(Path(folder) / f"{number}.ndjson")
            paths[-1].write_bytes(b"\n".join(given_) + b"\n" * (number % 2))
        one = EventFiles(paths, chunk_bytes=256)
        expected, counters = one_process(rules, list(one.chunks()))
        several = EventFiles(paths, chunk_bytes=256)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("maxspan.engine.jobs.run._MOST_BYTES", 300)
            detector = JobsDetector(rules, several, jobs=jobs, part_bytes=part_bytes, chunk_bytes=256)
            found = [match for chunk in detector.chunks() for match in chunk]
            found += detector.finish()
        assert sorted(found, key=_order) == sorted(expected, key=_order)
        assert detector.counters == counters
        assert several.problems == one.problems
        assert detector.bytes_done == one.total_bytes


def _sequence(*stages: plan.Stage) -> list[Rule]:
    return rules_of([plan.SequenceQuery((plan.Field("host.id"),), stages, 5 * 10**9)])


def _chunks(*events: tuple[int, str]) -> list[Chunk]:
    return [
        Chunk(
            f'{{"@timestamp": {START + 1000 * at}, "event": {{"category": "{what}"}}, "host": {{"id": "x"}}}}'.encode()
        )
        for at, what in events
    ]


A, B, ABSENT = plan.Stage("a", plan.TRUE), plan.Stage("b", plan.TRUE), plan.Stage("c", plan.TRUE, missing=True)


@pytest.mark.parametrize(
    "rules, events, cut",
    [
        (_sequence(A, B), [(9, "a"), (11, "b")], 1),
        (_sequence(A, B), [(0, "b"), (10, "b"), (9, "a")], 2),  # passed over in the run before
        (_sequence(A, ABSENT, B), [(9, "a"), (0, "b"), (10, "b")], 1),  # passed over behind the head of the run after
        (_sequence(A, B, B), [(0, "a"), (1, "b"), (9, "a"), (10, "b"), (12, "b"), (30, "b")], 4),
        (_sequence(A, B), [(9, "a"), (30, "c"), (10, "b")], 2),
    ],
)
def test_what_a_border_may_cut(rules: list[Rule], events: list[tuple[int, str]], cut: int) -> None:
    chunks = _chunks(*events)
    expected, _ = one_process(rules, chunks)
    assert len(expected) == 1
    assert joined(rules, chunks, {cut})[0] == expected


@pytest.mark.parametrize(
    "stages, events, cuts",
    [
        ((A, B), [(0, "a"), (2, "b"), (1, "b")], {1, 2}),
        ((A, B), [(0, "a"), (2, "b"), (30, "c"), (1, "b")], {1, 2, 3}),
        ((A, B, B), [(0, "a"), (1, "b"), (3, "b"), (2, "b")], {1, 2, 3}),
    ],
)
def test_what_was_continued_by_a_later_event_comes_to_an_end(
    stages: tuple[plan.Stage, ...], events: list[tuple[int, str]], cuts: set[int]
) -> None:
    """Nothing is left of a sequence that an event was put aside for; an earlier one comes behind the next border."""
    rules, chunks = _sequence(*stages), _chunks(*events)
    expected, _ = one_process(rules, chunks)
    assert [len(match.events) for match in expected] == [len(stages)]
    assert joined(rules, chunks, cuts)[0] == expected


@pytest.mark.parametrize("at_ms, found", [(4_900, 1), (5_000, 1), (5_001, 0)])
@pytest.mark.parametrize("many", [0, 1 << 20])
def test_the_head_of_a_run_is_as_long_as_a_maxspan(
    monkeypatch: pytest.MonkeyPatch, at_ms: int, found: int, many: int
) -> None:
    monkeypatch.setattr("maxspan.engine.kernel.order._SAMPLES", 1)
    monkeypatch.setattr("maxspan.engine.jobs.aside._MOST_BYTES", many)
    rules = waiting.rules_of("sequence by host.id, k with maxspan=5s [a where true] [b where true]")
    events = [waiting.line(0, "a", '"1"'), waiting.line(1, "b", '"2"'), waiting.line(at_ms, "b", '"1"')]
    lines = [*waiting.warm([]), *events]
    chunks = [Chunk(one + b"\n", first_line=number + 1) for number, one in enumerate(lines)]
    for cut in (len(lines) - 2, len(lines) - 1):
        matches, _ = joined(rules, chunks, {cut})
        assert [match.join_keys for match in matches if match.join_keys[0] == "x"] == [("x", "1")] * found
        assert matches == one_process(rules, chunks)[0]


@pytest.mark.skipif(native.scan is None, reason="without the scanner nothing is put aside there")
def test_what_is_put_aside_has_a_bound_within_a_part_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is read as a whole is one part, whatever its size."""
    most = 20_000
    monkeypatch.setattr("maxspan.engine.kernel.order._SAMPLES", 1)
    monkeypatch.setattr("maxspan.engine.jobs.aside._MOST_BYTES", most)
    rules = waiting.rules_of("sequence by host.id, k with maxspan=1h [a where true] [b where true]")
    lines = [*waiting.warm([]), *(waiting.line(n, "b", f'"{n}"') for n in range(1000))]
    run = Run(CompiledRules(rules), 1, ordered=True, chunk_bytes=65536)
    taken: list[int] = []

    def chunks() -> Iterator[Chunk]:
        for number, one in enumerate(lines):
            assert run._head is not None
            taken.append(run._head.aside_bytes)
            yield Chunk(one, first_line=number + 1)

    run.take(Part("chunks", chunks=chunks()))  # type: ignore[arg-type]
    assert most < max(taken) < 2 * most


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory in use is read from /proc")
@pytest.mark.parametrize("more", [(), ("sample by k [a where true] [c where true]",)])
def test_runs_that_are_over_take_no_memory(monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]) -> None:
    """What is piped in comes in short runs, as many as there may be; of samples only their events stay."""
    monkeypatch.setattr("maxspan.engine.kernel.order._SAMPLES", 1)
    rules = waiting.rules_of("sequence by k with maxspan=5s [b where true] [c where true]", *more)
    compiled, runs, before = CompiledRules(rules), [], 0
    for number in range(25):
        run = Run(compiled, number, ordered=True, chunk_bytes=65536)
        given_ = [waiting.line(60_000 * number + n, "b", f'"{n}"') for n in range(4000)]
        given_ += [waiting.line(60_000 * number + 4000, what, '"9999"') for what in "ac"]
        run.take(Part("chunks", chunks=(Chunk(b"\n".join(given_)),)))
        run.end()
        run.join({})
        run.let_go()
        runs.append(run)
        if number == 4:
            before = resident()
    assert resident() - before < 6 << 20
    samples = [run.samples([rule.number for rule in compiled.rules[1:]]) for run in runs]
    assert [[len(items) for items in one.values()] for one in samples] == [[2] * len(more)] * 25
