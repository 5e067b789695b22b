"""Streams: events wait until no earlier one can come, host by host, and then go through the machines in order.

What waits is a hit of one rule, or a candidate with the pieces of sequences that it fulfils: what it is to them is
asked only when its turn has come, because most continue nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Protocol

from maxspan.engine.detector import Counters
from maxspan.engine.kernel.compiled import CompiledRule
from maxspan.engine.kernel.events import Candidate
from maxspan.engine.kernel.machine import Completed, Hit, Machine
from maxspan.engine.reference.event import Ordinal
from maxspan.languages import plan

if TYPE_CHECKING:
    from maxspan.engine.kernel.native._scan import Lane as ScannedLane

#: So often in the time of events machines forget, and decide what waits for an event to be missing.
TICK_NS: Final = 50_000_000

Found = tuple[CompiledRule, Completed]


def wait_of(lateness_ns: int) -> int:
    """Give for how long events wait: one that is exactly so late finds its place; with no lateness nothing waits."""
    return lateness_ns + 1 if lateness_ns else 0


class Lane:
    """The hits of one host (or of all, for rules that join across hosts) and the machines of its rules.

    With `scanned`, most events of the host wait in the scanner, and only others here. `latest_ns` is the latest time of
    an event, and events up to `passed_ns` have had their turn.
    """

    __slots__ = ("_latest_ns", "_passed_ns", "heap", "machines", "scanned", "tick_ns")

    def __init__(self) -> None:
        self.heap: list[tuple[Ordinal, int, Hit | Candidate, Any]] = []
        self.machines: dict[CompiledRule, Machine] = {}
        self.scanned: ScannedLane | None = None
        self._latest_ns = self._passed_ns = -(2**63)
        #: when machines are told next how far time has gone
        self.tick_ns = -(2**63)

    @property
    def latest_ns(self) -> int:
        return self._latest_ns if self.scanned is None else self.scanned.latest_ns

    @latest_ns.setter
    def latest_ns(self, time_ns: int) -> None:
        if self.scanned is None:
            self._latest_ns = time_ns
        else:
            self.scanned.latest_ns = time_ns

    @property
    def passed_ns(self) -> int:
        return self._passed_ns if self.scanned is None else self.scanned.released_ns

    @passed_ns.setter
    def passed_ns(self, time_ns: int) -> None:
        if self.scanned is None:
            self._passed_ns = time_ns
        else:
            self.scanned.released_ns = time_ns

    def join(self, scanned: ScannedLane) -> None:
        """Go on together with a lane of the scanner."""
        scanned.latest_ns = max(scanned.latest_ns, self._latest_ns)
        scanned.released_ns = max(scanned.released_ns, self._passed_ns)
        scanned.attended = scanned.attended or bool(self.heap or self.machines)
        self.scanned = scanned

    def push(self, ordinal: Ordinal, order: int, item: Hit | Candidate, more: Any) -> None:
        """Let a hit of a rule wait, or a candidate with a mask."""
        heappush(self.heap, (ordinal, order, item, more))
        if self.scanned is not None:
            self.scanned.attended = True


class Judging(Protocol):
    """What lanes ask about events whose turn has come."""

    def judged(self, candidate: Candidate, mask: int, lane: str) -> Iterable[tuple[CompiledRule, Hit]]:
        """Give what a candidate is to sequences, of the pieces that waited."""

    def begun(self, rule: CompiledRule, hit: Hit, lane: str) -> Iterable[Hit]:
        """Give the hits that began a sequence and waited for this one, in their order."""


class Scanned(Protocol):
    """The events of streams that wait in the scanner."""

    def lane(self, name: str) -> ScannedLane:
        """Give the scanner's lane of that name."""

    def changed(self) -> Iterator[str]:
        """Give the names of lanes that have to be looked after, now that events have come."""

    def advance(self, now_ns: int) -> None:
        """Let time go on for all lanes."""

    def turn(self, lane: ScannedLane, name: str, until_ns: int) -> Iterable[tuple[CompiledRule, Hit]] | None:
        """Give what the next event up to a time is to sequences that is more than nothing; None if there is none."""

    def names(self) -> list[str]:
        """Give the names of all lanes."""

    def turns(self, lane: ScannedLane, until_ns: int) -> Iterator[tuple[Ordinal, Candidate, int]]:
        """Give all events up to a time, with the pieces that wait."""


class Lanes:
    """All lanes. A lane's time is that of its latest event; what is more than `lateness_ns` older has come."""

    def __init__(
        self, counters: Counters, lateness_ns: int, most_keys: int, judging: Judging, scanned: Scanned | None = None
    ) -> None:
        self.counters = counters
        self._judging = judging
        self._scanned = scanned
        self.wait_ns = wait_of(lateness_ns)
        self.most_keys = most_keys
        #: by host; `late_position` is that of the last event that was too late
        self.lanes: dict[str, Lane] = {}
        self._changed: dict[str, Lane] = {}
        self._order = count()
        self.late_position = -1

    def at(self, name: str, *, own_clock: bool = False) -> Lane:
        """Give the lane of a name, made where there is none; one with a clock of its own is not in the scanner."""
        lane = self.lanes.get(name)
        if lane is None:
            lane = self.lanes[name] = Lane()
        if lane.scanned is None and self._scanned is not None and not own_clock:
            lane.join(self._scanned.lane(name))
        return lane

    def push(self, rule: CompiledRule, hit: Hit, name: str, *, own_clock: bool = False) -> None:
        """Let a hit wait in the lane of its host; one that is too late is counted, once for each event."""
        lane = self.at(name, own_clock=own_clock)
        if hit.time_ns < lane.passed_ns:
            if hit.survivor.position != self.late_position:
                self.late_position = hit.survivor.position
                self.counters.late += 1
            return
        lane.latest_ns = max(lane.latest_ns, hit.time_ns)
        lane.push(hit.ordinal, next(self._order), hit, rule)
        self._changed[name] = lane

    def wait(self, candidate: Candidate, ordinal: Ordinal, mask: int, name: str) -> bool:
        """Let pieces of a candidate wait; says whether it is in time."""
        lane = self.at(name)
        time_ns = ordinal[0]
        if time_ns < lane.passed_ns:
            return False
        if time_ns > lane.latest_ns:
            lane.latest_ns = time_ns
        lane.push(ordinal, next(self._order), candidate, mask)
        self._changed[name] = lane
        return True

    def go_on(self, order: count[int]) -> None:
        """Number hits from here on; those that wait already have earlier numbers."""
        self._order = order

    def released(self) -> Iterator[Found]:
        """Give what is complete now that these events have come."""
        changed, self._changed = self._changed, {}
        if self._scanned is not None:
            for name in self._scanned.changed():
                changed[name] = self.at(name)
        for name, lane in changed.items():
            yield from self._release(name, lane, lane.latest_ns - self.wait_ns)

    def advance(self, now_ns: int) -> Iterator[Found]:
        """Let the clock of all lanes go on to `now_ns`, and forget lanes that hold nothing."""
        self._changed = {}
        if self._scanned is not None:
            self._scanned.advance(now_ns)
            for name in self._scanned.changed():
                self.at(name)
        for name in list(self.lanes):
            lane = self.lanes[name]
            lane.latest_ns = max(lane.latest_ns, now_ns)
            yield from self._release(name, lane, now_ns - self.wait_ns)
            if not lane.heap and not lane.machines and lane.passed_ns < now_ns - 10 * self.wait_ns:
                del self.lanes[name]

    def settle(self) -> None:
        """Take all that waits in the scanner into the lanes."""
        if self._scanned is not None:
            for name in self._scanned.names():
                lane = self.at(name)
                self._take_over(lane, 2**63 - 1)

    def begin(self, rule: CompiledRule, hit: Hit, name: str) -> None:
        """Give a hit that has waited elsewhere, and begins a sequence, to its machine."""
        for _ in self._machine(self.at(name), rule).take(hit):
            raise AssertionError("the first event of a sequence completes nothing")

    def _take_over(self, lane: Lane, until_ns: int) -> None:
        if lane.scanned is not None and self._scanned is not None:
            for ordinal, candidate, mask in self._scanned.turns(lane.scanned, until_ns):
                lane.push(ordinal, next(self._order), candidate, mask)

    def _release(self, name: str, lane: Lane, until_ns: int) -> Iterator[Found]:
        heap, scanned = lane.heap, lane.scanned
        if scanned is not None:
            while heap and heap[0][0][0] <= until_ns:
                time_ns = heap[0][0][0]
                yield from self._scanned_turns(name, lane, scanned, time_ns - 1)
                self._take_over(lane, time_ns)  # of one time, ordinals decide
                while heap and heap[0][0][0] == time_ns:
                    yield from self._first(name, lane)
            yield from self._scanned_turns(name, lane, scanned, until_ns)
        else:
            while heap and heap[0][0][0] <= until_ns:
                yield from self._first(name, lane)
        if until_ns > lane.passed_ns:
            lane.passed_ns = until_ns
            if until_ns >= lane.tick_ns:
                lane.tick_ns = until_ns + TICK_NS
                for rule in list(lane.machines):
                    yield from self._let_pass(lane, rule, until_ns)
        if scanned is not None:
            scanned.attended = bool(heap or lane.machines)

    def _scanned_turns(self, name: str, lane: Lane, scanned: ScannedLane, until_ns: int) -> Iterator[Found]:
        assert self._scanned is not None
        while (found := self._scanned.turn(scanned, name, until_ns)) is not None:
            for rule, hit in found:
                yield from self._take(name, lane, rule, hit)

    def _first(self, name: str, lane: Lane) -> Iterator[Found]:
        """Take what is first in the order of a lane."""
        _, _, item, more = heappop(lane.heap)
        if isinstance(item, Hit):
            yield from self._take(name, lane, more, item)
        else:
            for rule, hit in self._judging.judged(item, more, name):
                yield from self._take(name, lane, rule, hit)

    def _take(self, name: str, lane: Lane, rule: CompiledRule, hit: Hit) -> Iterator[Found]:
        begun = [*self._judging.begun(rule, hit, name)]
        if rule not in lane.machines and not hit.begins and not begun:
            return
        machine = self._machine(lane, rule)
        evicted = machine.evicted
        for one in (*begun, hit):
            for completed in machine.take(one):
                yield rule, completed
        self.counters.evicted += machine.evicted - evicted

    def _machine(self, lane: Lane, rule: CompiledRule) -> Machine:
        machine = lane.machines.get(rule)
        if machine is None:
            assert isinstance(rule.query, plan.SequenceQuery)
            machine = lane.machines[rule] = Machine(rule.query, most_keys=self.most_keys)
            if lane.scanned is not None:
                lane.scanned.attended = True
        return machine

    def _let_pass(self, lane: Lane, rule: CompiledRule, now_ns: int) -> Iterator[Found]:
        machine = lane.machines[rule]
        for completed in machine.advance(now_ns):
            yield rule, completed
        if machine.is_empty:
            del lane.machines[rule]

    def finish(self) -> Iterator[Found]:
        """Let all time pass: no more events come."""
        self.settle()
        for name, lane in self.lanes.items():
            while lane.heap:
                yield from self._first(name, lane)
            for rule, machine in lane.machines.items():
                for completed in machine.finish():
                    yield rule, completed
        self.lanes = {}
