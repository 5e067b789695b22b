"""A batch whose events come in order: sequences are found as their events come, and what is over is forgotten."""

from __future__ import annotations

import sys
from collections import deque
from typing import Final

from maxspan.engine.kernel.compiled import CompiledRule
from maxspan.engine.kernel.machine import Completed, Hit, Machine
from maxspan.engine.kernel.survivors import LineStore
from maxspan.engine.reference.event import Ordinal
from maxspan.languages import plan

_EARLIEST: Final = -(2**63)
#: after so many hits of a lane its machine forgets, and after so many hits of all lanes those that stand still do
_HITS: Final = 64
_SWEEP: Final = 20_000
#: So many hits that begin a sequence wait at most, with so many bytes of lines, before all are given to machines.
_MOST_BEGUN: Final = 20_000
_MOST_BYTES: Final = 16 << 20
#: a lane stands still when its last hit is so much older than the latest of all
_STILL_NS: Final = 3600 * 10**9


class Lane:
    """One rule at one host: its machine, and how far its hits have come.

    `passed_ns` is the time up to which things have been forgotten. `begun` are hits that begin a sequence, and nothing
    else, and the bytes of their lines: they wait until a hit comes that may continue one, as most never see one.
    `sweep` is how many sweeps there had been when the last hit came.
    """

    __slots__ = ("begun", "first", "hits", "last", "machine", "passed_ns", "sweep")

    def __init__(self, first: Ordinal) -> None:
        self.first = self.last = first
        self.machine: Machine | None = None
        self.passed_ns = _EARLIEST
        self.hits = self.sweep = 0
        self.begun: deque[tuple[Hit, int]] = deque()

    @property
    def reach(self) -> Ordinal:
        """Give how far it has come: an event from before that cannot be taken any more."""
        return max(self.last, (self.passed_ns, (-1, "", 0), -1))


class InOrder:
    """Takes hits one after another, and keeps the sequences that are complete.

    A rule of which a hit comes that should have come before another one, at the same host, is `unsure`: it has to be
    run in another way. `lanes` are by rule and host.
    """

    def __init__(self, store: LineStore) -> None:
        self.unsure: set[CompiledRule] = set()
        self.completed: dict[CompiledRule, list[Completed]] = {}
        self.lanes: dict[tuple[CompiledRule, str], Lane] = {}
        self._store = store
        self._found = LineStore()
        self._latest_ns = _EARLIEST
        self._hits = self._sweeps = 0
        self._begun = 0
        self._waiting = self._waiting_bytes = 0

    @property
    def failure(self) -> str:
        """Say why lines stay in memory, if they have to."""
        return self._store.failure or self._found.failure

    def take(self, rule: CompiledRule, hit: Hit, host: str, *, has_waited: bool = False) -> None:
        """Give a hit of one host to its machine; one that has waited may be older than those with other keys."""
        if rule in self.unsure:
            return
        lane = self.lanes.get((rule, host))
        if lane is None:
            lane = self.lanes[rule, host] = Lane(hit.ordinal)
        elif has_waited:
            lane.first, lane.last = min(lane.first, hit.ordinal), max(lane.last, hit.ordinal)
        elif hit.ordinal < lane.last or hit.time_ns < lane.passed_ns:
            self.give_up(rule)
            return
        else:
            lane.last = hit.ordinal
        lane.sweep = self._sweeps
        if rule.begins_alone and len(hit.positive) == 1 and hit.positive[0][0] == 0 and not hit.until:
            self._begin(rule, lane, hit)
            return
        if lane.begun:
            self._settle(rule, lane)
        machine = lane.machine
        if machine is None:
            if not hit.begins:
                return
            machine = lane.machine = new_machine(rule)
        for completed in machine.take(hit):
            self.keep(rule, completed)
        if hit.held:
            hit.survivor.keep(self._store)
        lane.hits += 1
        if lane.hits % _HITS == 0:
            self._let_pass(rule, lane, machine, hit.time_ns)
        self._hits += 1
        self._latest_ns = max(self._latest_ns, hit.time_ns)
        if self._hits % _SWEEP == 0:
            self._sweep()

    def _begin(self, rule: CompiledRule, lane: Lane, hit: Hit) -> None:
        """Let a hit wait that begins a sequence; what is too old to be continued goes."""
        begun, now_ns, kept = lane.begun, hit.ordinal[0], hit.survivor.kept
        hit.held = True
        size = len(kept) if isinstance(kept, bytes) else 0
        begun.append((hit, size))
        self._waiting += 1
        self._waiting_bytes += size
        oldest_ns = now_ns - rule.maxspan_ns
        while begun[0][0].ordinal[0] < oldest_ns:
            self._waiting -= 1
            self._waiting_bytes -= begun.popleft()[1]
        self._latest_ns = max(self._latest_ns, now_ns)
        self._begun += 1
        if self._begun % _SWEEP == 0:
            self._sweep()
        if self._waiting > _MOST_BEGUN or self._waiting_bytes > _MOST_BYTES:
            self.settle()

    def settle(self) -> None:
        """Give all that waits to its machine."""
        for (rule, _), lane in self.lanes.items():
            if lane.begun:
                self._settle(rule, lane)

    def _settle(self, rule: CompiledRule, lane: Lane) -> None:
        machine = lane.machine
        if machine is None:
            machine = lane.machine = new_machine(rule)
        for hit, _ in lane.begun:
            hit.survivor.keep(self._store)
            for completed in machine.take(hit):
                self.keep(rule, completed)
        now_ns = lane.begun[-1][0].time_ns
        self._forget(lane)
        self._let_pass(rule, lane, machine, now_ns)

    def _forget(self, lane: Lane) -> None:
        self._waiting -= len(lane.begun)
        self._waiting_bytes -= sum(size for _, size in lane.begun)
        lane.begun.clear()

    def keep(self, rule: CompiledRule, sequence: Completed) -> None:
        """Keep a complete sequence, with its lines."""
        for hit in sequence.hits:
            if hit is not None:
                survivor = hit.survivor
                survivor.kept = self._store.read(survivor.kept)
                survivor.keep(self._found)
        self.completed.setdefault(rule, []).append(sequence)

    def give_up(self, rule: CompiledRule) -> None:
        """Note that a rule is unsure; nothing of it is kept any more."""
        self.unsure.add(rule)
        self.completed.pop(rule, None)
        for key in [key for key in self.lanes if key[0] is rule]:
            self._forget(self.lanes.pop(key))

    def _let_pass(self, rule: CompiledRule, lane: Lane, machine: Machine, now_ns: int) -> None:
        for completed in machine.advance(now_ns):
            self.keep(rule, completed)
        lane.passed_ns = max(lane.passed_ns, now_ns)
        if machine.is_empty:
            lane.machine = None

    def _sweep(self) -> None:
        """Let time pass for hosts of which nothing has come since the last sweep; what comes yet makes rules unsure."""
        until_ns = self._latest_ns - _STILL_NS
        self._sweeps += 1
        for (rule, _), lane in self.lanes.items():
            if lane.last[0] >= until_ns or lane.sweep + 1 >= self._sweeps:
                continue
            if lane.begun and lane.last[0] < until_ns - rule.maxspan_ns:
                self._forget(lane)
                lane.passed_ns = max(lane.passed_ns, lane.last[0] + rule.maxspan_ns + 1)
            if lane.machine is not None and not lane.begun:
                self._let_pass(rule, lane, lane.machine, until_ns)

    def finish(self) -> None:
        """Decide all that waits: no more events come."""
        for (rule, _), lane in self.lanes.items():
            if lane.machine is not None:
                for completed in lane.machine.finish():
                    self.keep(rule, completed)


def new_machine(rule: CompiledRule) -> Machine:
    """Make a machine for a batch: what it holds is given up for nothing but time."""
    assert isinstance(rule.query, plan.SequenceQuery)
    return Machine(rule.query, most_keys=sys.maxsize)
