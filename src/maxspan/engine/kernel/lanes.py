"""Streams: hits wait until no earlier event can come, host by host, and then go through the machines in order."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Any

from maxspan.engine.detector import Counters
from maxspan.engine.kernel.compiled import CompiledRule
from maxspan.engine.kernel.machine import Completed, Hit, Machine
from maxspan.languages import plan

Found = tuple[CompiledRule, Completed]


class Lane:
    """The hits of one host (or of all, for rules that join across hosts) and the machines of its rules."""

    __slots__ = ("heap", "latest_ns", "machines", "passed_ns")

    def __init__(self) -> None:
        self.heap: list[tuple[Any, int, CompiledRule, Hit]] = []
        self.machines: dict[CompiledRule, Machine] = {}
        self.latest_ns = -(2**63)
        self.passed_ns = -(2**63)


class Lanes:
    """All lanes. A lane's time is that of its latest event; what is more than `lateness_ns` older has come."""

    def __init__(self, counters: Counters, lateness_ns: int, most_keys: int) -> None:
        self.counters = counters
        #: an event that is exactly so late still finds its place; with no lateness at all, nothing waits
        self.wait_ns = lateness_ns + 1 if lateness_ns else 0
        self.most_keys = most_keys
        self._lanes: dict[str, Lane] = {}
        self._changed: dict[str, Lane] = {}
        self._order = count()
        self._late_position = -1

    def push(self, rule: CompiledRule, hit: Hit, name: str) -> None:
        """Let a hit wait in the lane of its host; one that is too late is counted, once for each event."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane()
        if hit.time_ns < lane.passed_ns:
            if hit.survivor.position != self._late_position:
                self._late_position = hit.survivor.position
                self.counters.late += 1
            return
        lane.latest_ns = max(lane.latest_ns, hit.time_ns)
        heappush(lane.heap, (hit.ordinal, next(self._order), rule, hit))
        self._changed[name] = lane

    def released(self) -> Iterator[Found]:
        """Give what is complete now that these events have come."""
        changed, self._changed = self._changed, {}
        for lane in changed.values():
            yield from self._release(lane, lane.latest_ns - self.wait_ns)

    def advance(self, now_ns: int) -> Iterator[Found]:
        """Let the clock of all lanes go on to `now_ns`, and forget lanes that hold nothing."""
        self._changed = {}
        for name in list(self._lanes):
            lane = self._lanes[name]
            lane.latest_ns = max(lane.latest_ns, now_ns)
            yield from self._release(lane, now_ns - self.wait_ns)
            if not lane.heap and not lane.machines and lane.passed_ns < now_ns - 10 * self.wait_ns:
                del self._lanes[name]

    def _release(self, lane: Lane, until_ns: int) -> Iterator[Found]:
        heap = lane.heap
        while heap and heap[0][0][0] <= until_ns:
            _, _, rule, hit = heappop(heap)
            yield from self._take(lane, rule, hit)
        if until_ns > lane.passed_ns:
            lane.passed_ns = until_ns
            for rule in list(lane.machines):
                yield from self._let_pass(lane, rule, until_ns)

    def _take(self, lane: Lane, rule: CompiledRule, hit: Hit) -> Iterator[Found]:
        machine = lane.machines.get(rule)
        if machine is None:
            begins = hit.missing or (hit.positive and hit.positive[0][0] == 0)
            if not begins:
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
        for lane in self._lanes.values():
            while lane.heap:
                _, _, rule, hit = heappop(lane.heap)
                yield from self._take(lane, rule, hit)
            for rule, machine in lane.machines.items():
                for completed in machine.finish():
                    yield rule, completed
        self._lanes = {}
