"""Streams: events wait until no earlier one can come, host by host, and then go through the machines in order.

What waits is a hit of one rule, or a candidate with the pieces of sequences that it fulfils: what it is to them is
asked only when its turn has come, because most continue nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final

from maxspan.engine.detector import Counters
from maxspan.engine.kernel.compiled import CompiledRule
from maxspan.engine.kernel.events import Candidate
from maxspan.engine.kernel.machine import Completed, Hit, Machine
from maxspan.engine.reference.event import Ordinal
from maxspan.languages import plan

#: So often in the time of events machines forget, and decide what waits for an event to be missing.
TICK_NS: Final = 50_000_000

Found = tuple[CompiledRule, Completed]
#: takes a candidate, the pieces of it that wait, and the name of its lane; gives what it is to sequences
Judged = Callable[[Candidate, int, str], Iterable[tuple[CompiledRule, Hit]]]


class Lane:
    """The hits of one host (or of all, for rules that join across hosts) and the machines of its rules."""

    __slots__ = ("heap", "latest_ns", "machines", "passed_ns", "tick_ns")

    def __init__(self) -> None:
        self.heap: list[tuple[Ordinal, int, Hit | Candidate, Any]] = []
        self.machines: dict[CompiledRule, Machine] = {}
        self.latest_ns = -(2**63)
        #: when machines are told next how far time has gone
        self.tick_ns = -(2**63)
        self.passed_ns = -(2**63)


class Lanes:
    """All lanes. A lane's time is that of its latest event; what is more than `lateness_ns` older has come."""

    def __init__(self, counters: Counters, lateness_ns: int, most_keys: int, judged: Judged) -> None:
        self.counters = counters
        self._judged = judged
        #: an event that is exactly so late still finds its place; with no lateness at all, nothing waits
        self.wait_ns = lateness_ns + 1 if lateness_ns else 0
        self.most_keys = most_keys
        #: by host; `late_position` is that of the last event that was too late
        self.lanes: dict[str, Lane] = {}
        self._changed: dict[str, Lane] = {}
        self._order = count()
        self.late_position = -1

    def push(self, rule: CompiledRule, hit: Hit, name: str) -> None:
        """Let a hit wait in the lane of its host; one that is too late is counted, once for each event."""
        lane = self.lanes.get(name)
        if lane is None:
            lane = self.lanes[name] = Lane()
        if hit.time_ns < lane.passed_ns:
            if hit.survivor.position != self.late_position:
                self.late_position = hit.survivor.position
                self.counters.late += 1
            return
        lane.latest_ns = max(lane.latest_ns, hit.time_ns)
        heappush(lane.heap, (hit.ordinal, next(self._order), hit, rule))
        self._changed[name] = lane

    def wait(self, candidate: Candidate, ordinal: Ordinal, mask: int, name: str) -> bool:
        """Let pieces of a candidate wait; says whether it is in time."""
        lane = self.lanes.get(name)
        if lane is None:
            lane = self.lanes[name] = Lane()
        time_ns = ordinal[0]
        if time_ns < lane.passed_ns:
            return False
        if time_ns > lane.latest_ns:
            lane.latest_ns = time_ns
        heappush(lane.heap, (ordinal, next(self._order), candidate, mask))
        self._changed[name] = lane
        return True

    def go_on(self, order: count[int]) -> None:
        """Number hits from here on; those that wait already have earlier numbers."""
        self._order = order

    def released(self) -> Iterator[Found]:
        """Give what is complete now that these events have come."""
        changed, self._changed = self._changed, {}
        for name, lane in changed.items():
            yield from self._release(name, lane, lane.latest_ns - self.wait_ns)

    def advance(self, now_ns: int) -> Iterator[Found]:
        """Let the clock of all lanes go on to `now_ns`, and forget lanes that hold nothing."""
        self._changed = {}
        for name in list(self.lanes):
            lane = self.lanes[name]
            lane.latest_ns = max(lane.latest_ns, now_ns)
            yield from self._release(name, lane, now_ns - self.wait_ns)
            if not lane.heap and not lane.machines and lane.passed_ns < now_ns - 10 * self.wait_ns:
                del self.lanes[name]

    def _release(self, name: str, lane: Lane, until_ns: int) -> Iterator[Found]:
        heap = lane.heap
        while heap and heap[0][0][0] <= until_ns:
            yield from self._first(name, lane)
        if until_ns > lane.passed_ns:
            lane.passed_ns = until_ns
            if until_ns >= lane.tick_ns:
                lane.tick_ns = until_ns + TICK_NS
                for rule in list(lane.machines):
                    yield from self._let_pass(lane, rule, until_ns)

    def _first(self, name: str, lane: Lane) -> Iterator[Found]:
        """Take what is first in the order of a lane."""
        _, _, item, more = heappop(lane.heap)
        if isinstance(item, Hit):
            yield from self._take(lane, more, item)
        else:
            for rule, hit in self._judged(item, more, name):
                yield from self._take(lane, rule, hit)

    def _take(self, lane: Lane, rule: CompiledRule, hit: Hit) -> Iterator[Found]:
        machine = lane.machines.get(rule)
        if machine is None:
            if not hit.begins:
                return
            assert isinstance(rule.query, plan.SequenceQuery)
            machine = lane.machines[rule] = Machine(rule.query, most_keys=self.most_keys)
        evicted = machine.evicted
        for completed in machine.take(hit):
            yield rule, completed
        self.counters.evicted += machine.evicted - evicted

    def _let_pass(self, lane: Lane, rule: CompiledRule, now_ns: int) -> Iterator[Found]:
        machine = lane.machines[rule]
        for completed in machine.advance(now_ns):
            yield rule, completed
        if machine.is_empty:
            del lane.machines[rule]

    def finish(self) -> Iterator[Found]:
        """Let all time pass: no more events come."""
        for name, lane in self.lanes.items():
            while lane.heap:
                yield from self._first(name, lane)
            for rule, machine in lane.machines.items():
                for completed in machine.finish():
                    yield rule, completed
        self.lanes = {}
