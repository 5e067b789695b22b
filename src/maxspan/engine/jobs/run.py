"""One run: parts that follow each other, read by one process without knowing what came before them."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from maxspan.engine.jobs.aside import Aside, open_for
from maxspan.engine.jobs.heads import HeadSkipping, runs_alone
from maxspan.engine.jobs.parts import Part
from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.kernel.events import Candidate
from maxspan.engine.kernel.gathered import Gathered, Limited, Sampled
from maxspan.engine.kernel.in_order import InOrder, new_machine
from maxspan.engine.kernel.machine import Completed, Hit, Machine, State
from maxspan.engine.kernel.parked import LOOK_AFTER, ParkedEvents
from maxspan.engine.kernel.reader import ScanReader, make_reader
from maxspan.engine.kernel.skipping import Skipping
from maxspan.engine.match import RuleMatch
from maxspan.engine.reference.event import Ordinal
from maxspan.errors import Problem
from maxspan.rules.model import Rule

#: The position of an event is the number of its run's first part, times this, and its place in the run: so they are in
#: the order of the input before anybody knows how many events came before.
RUN: Final = 1 << 40
#: sequences are told with no more lines than this at once
_MOST_BYTES: Final = 8 << 20

#: a rule, by its number, at a host
Place = tuple[int, str]
#: the rule by its number, and of each event: line, time, position, path, number of the line, index, id
Row = tuple[int, list[tuple[Any, ...]]]


@dataclass(slots=True)
class PartResult:
    """What came of a part: matches of single events by chunk, what only the end decides, and counts."""

    chunks: list[list[Row]] = field(default_factory=list)
    hits: dict[int, list[Hit]] = field(default_factory=dict)
    limited: dict[int, list[Limited]] = field(default_factory=dict)
    samples: dict[int, list[Sampled]] = field(default_factory=dict)
    events: int = 0
    bytes: int = 0
    unreadable: int = 0
    without_timestamp: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    source_problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class Summary:
    """What a run tells at its end, before it knows what came before: how far everything goes.

    `seen` are the stages of samples that events came for which are kept until all is read. `places` have the first and
    last hit; `shut` and `passed` are the earliest and the latest time of what nothing
    waited for, and what that was, by host.
    """

    places: dict[Place, tuple[Ordinal, Ordinal]] = field(default_factory=dict)
    unsure: set[int] = field(default_factory=set)
    shut: dict[str, tuple[int, int]] = field(default_factory=dict)
    passed: dict[str, tuple[int, int]] = field(default_factory=dict)
    seen: dict[int, set[int]] = field(default_factory=dict)
    lines: int = 0


@dataclass(slots=True)
class Joined:
    """What a run tells once it knows: complete sequences by rule, and what is unfinished at its end, in bytes.

    `reached` are the last events that were put aside and have a part in what was unfinished before. If there is `more`,
    `Run.sequences` gives it.
    """

    completed: dict[int, list[Completed]] = field(default_factory=dict)
    states: dict[Place, bytes] = field(default_factory=dict)
    reached: dict[Place, Ordinal] = field(default_factory=dict)
    failure: str = ""
    more: bool = False


class Run(KernelDetector):
    """Takes parts one after another.

    Sequences of rules that run alone are found at once; in the head of the run their hits are kept too, and events that
    nothing in the run waits for, until it is known what was unfinished before the run. What other rules want is sent on
    with each part. With `ordered=False` nothing is passed over and all hits are sent on.
    """

    def __init__(self, compiled: CompiledRules, number: int, *, ordered: bool, chunk_bytes: int) -> None:
        super().__init__((), compiled=compiled, skip=False)
        self.counters.events = number * RUN
        self._chunk_bytes = chunk_bytes
        self._heads: dict[tuple[CompiledRule, str], list[Hit]] = {}
        self._spans: dict[tuple[CompiledRule, str], tuple[Ordinal, Ordinal]] = {}
        self._complete: deque[tuple[int, Completed]] = deque()
        self._lines = 0
        self._path = ""
        self._follows = number > 0
        self._head: HeadSkipping | None = None
        self._aside: Aside | None = None
        if ordered and any(rule.is_sequence for rule in compiled.rules):
            self._skipping = self._head = HeadSkipping(compiled)
            self._head.is_first = not self._follows
            self._in_order = InOrder(self._store)
            self._reader = make_reader(compiled, self.counters, self._head)
            self._aside = Aside(self._store, self._head, self._reader)
            if isinstance(self._reader, ScanReader):
                self._parked = ParkedEvents(compiled, self._head, self._reader)
            self._waits = compiled.every << self._head.aside
        self._alone = {rule for rule in compiled.rules if runs_alone(rule)}
        self._numbers = {rule.rule: rule.number for rule in compiled.rules}

    # --- parts -------------------------------------------------------------------------------------------------------

    def take(self, part: Part) -> PartResult:
        """Read a part and give what came of it."""
        counters, result = self.counters, PartResult()
        before = counters.events, counters.bytes, counters.unreadable, counters.without_timestamp
        counters.by_kind.clear()
        counters.problems.clear()
        first_line = self._lines + 1 if part.kind == "range" and part.path == self._path else 1
        self._lines = first_line - 1
        self._path = part.path
        for number, chunk in enumerate(part.read(result.source_problems, self._chunk_bytes, first_line)):
            if self._aside is not None and number % LOOK_AFTER == 0:
                self._aside.relieve()
            if found := self.feed(chunk):
                result.chunks.append([_row(match, self._numbers) for match in found])
        if part.kind == "range":
            self._lines += part.lines
        result.events, result.bytes = counters.events - before[0], counters.bytes - before[1]
        result.unreadable = counters.unreadable - before[2]
        result.without_timestamp = counters.without_timestamp - before[3]
        result.by_kind, result.problems = dict(counters.by_kind), list(counters.problems)
        gathered, self._gathered = self._gathered, self._gathered.following()
        self._send_on(gathered, result)
        return result

    def _send_on(self, gathered: Gathered, result: PartResult) -> None:
        for number, hit in gathered.hits.sorted():
            result.hits.setdefault(number, []).append(hit)
        for rule, limited in gathered.limited.items():
            result.limited[rule.number] = limited
        for rule, samples in gathered.samples.items():
            result.samples[rule.number] = samples
        survivors = [hit.survivor for hits in result.hits.values() for hit in hits]
        survivors += [item.survivor for items in result.limited.values() for item in items]
        survivors += [item.survivor for samples in result.samples.values() for item in samples]
        for survivor in survivors:
            survivor.kept = self._store.read(survivor.kept)

    def _wait(self, candidate: Candidate) -> None:
        """Put aside what only something from before the run may wait for; takes it off the candidate's mask."""
        assert self._head is not None and self._aside is not None
        self._aside.put(candidate, candidate.mask >> self._head.aside)
        candidate.mask &= self.compiled.every

    def _place(self, rule: CompiledRule, hit: Hit, host: str) -> None:
        if self._in_order is None:
            self._gathered.hit(rule, hit)
            return
        if rule not in self._alone:
            first, last = self._spans.get((rule, host), (hit.ordinal, hit.ordinal))
            self._spans[rule, host] = min(first, hit.ordinal), max(last, hit.ordinal)
            self._gathered.hit(rule, hit)
            return
        if self._parked is not None:
            for begun in self._parked.hits_before(self._in_order, rule, hit, host):
                self._begin(rule, begun, host)
        self._in_order.take(rule, hit, host)
        self._note_head(self._in_order, rule, hit, host)

    def _begin(self, rule: CompiledRule, hit: Hit, host: str) -> None:
        if self._in_order is not None:
            self._in_order.take(rule, hit, host, has_waited=True)
            self._note_head(self._in_order, rule, hit, host)

    def _note_head(self, in_order: InOrder, rule: CompiledRule, hit: Hit, host: str) -> None:
        """Keep a hit that may continue what came before the run."""
        lane = in_order.lanes.get((rule, host))
        if self._follows and lane is not None and hit.time_ns <= lane.first[0] + rule.maxspan_ns:
            hit.survivor.keep(self._store)
            self._heads.setdefault((rule, host), []).append(hit)

    # --- the end of the run ------------------------------------------------------------------------------------------

    def end(self, *, last: bool = False) -> Summary:
        """Give how far everything goes. Behind the `last` run nothing continues what is unfinished at its end."""
        out = Summary(lines=self._lines)
        if self._in_order is None or self._head is None:
            return out
        spans = dict(self._spans)
        spans.update({place: (lane.first, lane.reach) for place, lane in self._in_order.lanes.items()})
        for rule, host, first_ns, last_ns in self._head.spans():
            before, behind = spans.get((rule, host), (_last_at(first_ns), _first_at(last_ns)))
            spans[rule, host] = min(before, _first_at(first_ns)), max(behind, _last_at(last_ns))
        out.unsure = {rule.number for rule in self._in_order.unsure | self._head.unsure}
        out.shut, out.passed = self._head.first(), self._head.passed()
        out.seen = {rule.number: seen for rule in self.compiled.rules if (seen := self._head.seen(rule))}
        out.places = {(rule.number, host): span for (rule, host), span in spans.items()}
        if self._parked is not None and not last:
            self._parked.take_begun(self._begin, alive=True)
        self._in_order.settle()
        return out

    def join(self, states: dict[Place, bytes], *, last: bool = False) -> Joined:
        """Say what became of what was unfinished before the run, and give all sequences of it."""
        out = Joined()
        in_order = self._in_order
        if in_order is None:
            return out
        rules = self.compiled.rules
        before = {(rules[number], host): pickle.loads(state) for (number, host), state in states.items()}
        continued = self._continued(before, out.reached)
        for place in {**in_order.lanes, **continued} if not last else ():
            lane, machine = in_order.lanes.get(place), continued.get(place)
            if lane is not None and (machine is None or lane.last[0] > lane.first[0] + place[0].maxspan_ns):
                machine = lane.machine
            if machine is not None and lane is not None:
                list(machine.advance(lane.last[0]))  # only forgets: no event of these rules is rightly missing
            if machine is not None and not machine.is_empty:
                out.states[place[0].number, place[1]] = pickle.dumps(self._portable(machine.state()))
        for rule, sequences in in_order.completed.items():
            self._complete.extend((rule.number, sequence) for sequence in sequences)
        in_order.completed.clear()
        out.failure = in_order.failure
        return self.sequences(out)

    def sequences(self, out: Joined) -> Joined:
        """Give the next sequences, so many that their lines are not much more than `_MOST_BYTES`."""
        size = 0
        while self._complete and size < _MOST_BYTES:
            number, sequence = self._complete.popleft()
            for hit in sequence.hits:
                if hit is not None:
                    hit.survivor.kept = self._store.read(hit.survivor.kept)
                    size += len(hit.survivor.kept)
            out.completed.setdefault(number, []).append(sequence)
        out.more = bool(self._complete)
        return out

    def let_go(self) -> None:
        """Forget everything but the events of samples."""
        self._in_order = None
        self._heads, self._spans, self._aside = {}, {}, None
        self._gathered = Gathered(self._store)
        self._reader.end()
        if self._head is not None:
            self._head.keep_samples()
        self._store.close()

    def samples(self, numbers: Iterable[int]) -> dict[int, list[Sampled]]:
        """Give the events of samples, by the numbers of their rules."""
        out: dict[int, list[Sampled]] = {}
        for number in numbers if self._parked is not None else ():
            assert self._parked is not None
            out[number] = self._parked.sampled(self.compiled.rules[number], Gathered(self._store))
            for item in out[number]:
                item.survivor.kept = self._store.read(item.survivor.kept)
        return out

    def _continued(
        self, before: dict[tuple[CompiledRule, str], State], reached: dict[Place, Ordinal]
    ) -> dict[tuple[CompiledRule, str], Machine]:
        """Let the head continue what was unfinished; sequences that begin in the run are known already."""
        if not before or self._aside is None:
            return {}
        skipping = Skipping(self.compiled)
        hits: dict[tuple[CompiledRule, str], list[Hit]] = {}
        for (rule, host), state in before.items():
            hits[rule, host] = list(self._heads.get((rule, host), ()))
            for hit in (*state.hits(), *hits[rule, host]):
                open_for(skipping, rule, hit, host)
        for rule, host, hit in self._aside.found(self.compiled, skipping, before):
            if (rule, host) in hits:
                hits[rule, host].append(hit)
                place = rule.number, host
                reached[place] = max(hit.ordinal, reached.get(place, hit.ordinal))
        machines = {}
        for (rule, host), state in before.items():
            machine = machines[rule, host] = new_machine(rule)
            machine.resume(state)
            old = {id(hit) for hit in state.hits()}
            # of one event, what ends sequences comes behind what is part of them
            for hit in sorted(hits[rule, host], key=lambda hit: (hit.ordinal, not hit.positive)):
                for sequence in machine.take(hit):
                    if id(sequence.first) in old:
                        self._complete.append((rule.number, sequence))
        return machines

    def _portable(self, state: State) -> State:
        """Put the lines themselves in the place of where they are kept."""
        for hit in state.hits():
            hit.survivor.kept = self._store.read(hit.survivor.kept)
        return state


def _first_at(time_ns: int) -> Ordinal:
    """Give an ordinal that is before those of all events of a time."""
    return time_ns, (-1, "", 0), 0


def _last_at(time_ns: int) -> Ordinal:
    """Give an ordinal that is behind those of all events of a time."""
    return time_ns, (2, "", 0), 0


def _row(match: RuleMatch, numbers: dict[Rule, int]) -> Row:
    return numbers[match.rule], [
        (event.raw, event.timestamp_ns, event.position, event.path, event.line, event.index, event.id)
        for event in match.events
        if event is not None
    ]
