"""Sequences from what survived the conditions, in order: the state of one rule (sections 2 to 6 of the semantics)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from maxspan.engine.kernel.survivors import Survivor
from maxspan.engine.reference.event import Key, Ordinal, key_order
from maxspan.languages import plan

_MS: Final = 1_000_000


@dataclass(slots=True)
class Hit:
    """An event that has a part in a sequence: which stages it fulfils, by their number, with its keys for each.

    `held` tells whether it has become part of some sequence that may yet be complete, or is.
    """

    ordinal: Ordinal
    survivor: Survivor
    positive: list[tuple[int, list[Key]]]
    missing: list[tuple[int, list[Key]]]
    until: list[Key]
    held: bool = False

    @property
    def time_ns(self) -> int:
        return self.ordinal[0]

    @property
    def begins(self) -> bool:
        """Whether it matters to a machine that holds nothing."""
        return bool(self.missing) or bool(self.positive and self.positive[0][0] == 0)

    def by_host(self, hosts: Sequence[str], place: int) -> dict[str, Hit]:
        """Share a hit among its hosts, whose ids are at a place of the keys; "" stands for ids that are no strings.

        Hosts without a key are left out.
        """
        if len(hosts) == 1:
            return {hosts[0]: self}
        out: dict[str, Hit] = {}

        def shared(keys: list[Key]) -> Iterator[tuple[Hit, list[Key]]]:
            own: dict[str, list[Key]] = {}
            for key in keys:
                own.setdefault(key[place][1] if key[place][0] == "str" else "", []).append(key)
            for host, kept in own.items():
                if host not in out:
                    out[host] = Hit(self.ordinal, self.survivor, [], [], [])
                yield out[host], kept

        for stage, keys in self.positive:
            for hit, kept in shared(keys):
                hit.positive.append((stage, kept))
        for stage, keys in self.missing:
            for hit, kept in shared(keys):
                hit.missing.append((stage, kept))
        for hit, kept in shared(self.until):
            hit.until = kept
        return out


@dataclass(frozen=True, slots=True)
class Completed:
    """One complete sequence: its events with None for each missing stage, and its key."""

    hits: tuple[Hit | None, ...]
    key: Key

    @property
    def order(self) -> tuple[Any, ...]:
        return self.last.ordinal, key_order(self.key)

    @property
    def first(self) -> Hit:
        return next(hit for hit in self.hits if hit is not None)

    @property
    def last(self) -> Hit:
        return next(hit for hit in reversed(self.hits) if hit is not None)


Chain = tuple[Hit, ...]


@dataclass(slots=True)
class State:
    """What a machine holds: unfinished sequences and what may yet decide about them."""

    pending: dict[Key, list[list[Chain]]]
    untils: dict[Key, list[Ordinal]]
    seen: dict[int, dict[Key, list[int]]]
    waiting: list[Completed]
    ends: list[tuple[int, Key]]
    next_sweep: int

    def hits(self) -> Iterator[Hit]:
        """Give the hits in it, some more than once."""
        for stages in self.pending.values():
            for chains in stages:
                for chain in chains:
                    yield from chain
        for sequence in self.waiting:
            yield from (hit for hit in sequence.hits if hit is not None)


class Machine:
    """Takes hits in the order of events and gives sequences.

    `advance` tells how far time has gone: what can no longer be completed is forgotten, and what waits for an event to
    be missing is decided. `finish` decides all the rest. Without a maxspan at most `most_keys` keys are kept, the ones
    that were used longest ago go first, and `evicted` counts their unfinished sequences.
    """

    def __init__(self, query: plan.SequenceQuery, *, most_keys: int) -> None:
        self.maxspan_ns = query.maxspan_ns
        self.stages = query.expanded()
        self.missing = [number for number, stage in enumerate(self.stages) if stage.missing]
        self.last_stage = len(self.stages) - len(self.missing) - 1
        self.most_keys = most_keys
        self.evicted = 0
        self._pending: dict[Key, list[list[Chain]]] = {}
        self._untils: dict[Key, list[Ordinal]] = {}
        self._seen: dict[int, dict[Key, list[int]]] = {number: {} for number in self.missing}
        self._waiting: deque[Completed] = deque()
        self._ends: deque[tuple[int, Key]] = deque()
        self._next_sweep = 0
        places = [number for number, stage in enumerate(self.stages) if not stage.missing]
        self._leading = range(places[0])
        self._trailing = range(places[-1] + 1, len(self.stages))
        self._middle = [number for number in self.missing if places[0] < number < places[-1]]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept: a hit that begins no sequence then changes nothing."""
        return not self._pending and not self._waiting and not any(self._seen.values())

    # --- state --------------------------------------------------------------------------------------------------------

    def state(self) -> State:
        """Give all that is held; it shares its parts with the machine."""
        return State(self._pending, self._untils, self._seen, list(self._waiting), list(self._ends), self._next_sweep)

    def resume(self, state: State) -> None:
        """Go on from what a machine of the same query held."""
        self._pending = {key: [list(chains) for chains in stages] for key, stages in state.pending.items()}
        self._untils = {key: list(ordinals) for key, ordinals in state.untils.items()}
        self._seen = {number: {key: list(times) for key, times in seen.items()} for number, seen in state.seen.items()}
        self._waiting, self._ends = deque(state.waiting), deque(state.ends)
        self._next_sweep = state.next_sweep

    # --- taking hits -------------------------------------------------------------------------------------------------

    def take(self, hit: Hit) -> Iterator[Completed]:
        """Give one hit to all stages; gives what it completes, if no missing event can change that any more."""
        for key in hit.until:
            if key in self._pending or hit.positive:
                self._untils.setdefault(key, []).append(hit.ordinal)
                del self._untils[key][:-2]
        for number, keys in hit.missing:
            for key in keys:
                self._seen[number].setdefault(key, []).append(hit.time_ns)
        for stage, keys in hit.positive:
            for key in keys:
                chain = self._continued(hit, stage, key) if stage else (hit,)
                if chain is not None:
                    yield from self._advanced(chain, stage, key)
        if self._untils:
            for key in (*hit.until, *(key for _, keys in hit.positive for key in keys)):
                if key not in self._pending:
                    self._untils.pop(key, None)

    def _continued(self, hit: Hit, stage: int, key: Key) -> Chain | None:
        """Continue the latest sequence that is strictly older; it and all older ones are gone, whatever comes of it."""
        stages = self._pending.get(key)
        if stages is None:
            return None
        waiting = stages[stage - 1]
        index = len(waiting) - 1
        while index >= 0 and waiting[index][-1].ordinal >= hit.ordinal:
            index -= 1
        if index < 0:
            return None
        chain = waiting[index]
        del waiting[: index + 1]
        if not any(stages):
            del self._pending[key]
        late = self.maxspan_ns is not None and hit.time_ns - chain[0].time_ns > self.maxspan_ns
        ended = any(chain[-1].ordinal <= until < hit.ordinal for until in self._latest_until(key, hit))
        return None if late or ended else (*chain, hit)

    def _latest_until(self, key: Key, hit: Hit) -> list[Ordinal]:
        """Give the latest `until` event before a hit, if there is one (section 4)."""
        before = [until for until in self._untils.get(key, ()) if until < hit.ordinal]
        return before[-1:]

    def _advanced(self, chain: Chain, stage: int, key: Key) -> Iterator[Completed]:
        hit = chain[-1]
        hit.held = True
        if stage == self.last_stage:
            yield from self._completed(chain, key)
            return
        stages = self._pending.get(key)
        if stages is None:
            stages = self._pending[key] = [[] for _ in range(self.last_stage)]
        elif self.maxspan_ns is None:
            self._pending[key] = self._pending.pop(key)  # the one used last
        waiting = stages[stage]
        waiting.append(chain)
        while len(waiting) > 2 and waiting[1][-1].time_ns < hit.time_ns:
            del waiting[0]  # the latest goes first, and the older ones go with it: those of one time, and one before
        if stage == 0 and self.maxspan_ns is not None:
            self._ends.append((chain[0].time_ns + self.maxspan_ns, key))
        if self.maxspan_ns is None and len(self._pending) > self.most_keys:
            oldest = next(iter(self._pending))
            self.evicted += sum(map(len, self._pending[oldest]))
            self._forget(oldest)

    def _forget(self, key: Key) -> None:
        self._pending.pop(key, None)
        self._untils.pop(key, None)

    # --- missing events ----------------------------------------------------------------------------------------------

    def _completed(self, chain: Chain, key: Key) -> Iterator[Completed]:
        remaining = iter(chain)
        sequence = Completed(tuple(None if stage.missing else next(remaining) for stage in self.stages), key)
        if self._trailing:
            self._waiting.append(sequence)  # decided when time has passed
        elif not self.missing or self._absent(sequence):
            yield sequence

    def _absent(self, sequence: Completed) -> bool:
        """Whether all missing stages are absent around and between the events of a sequence (section 6)."""
        if any(self._between(number, sequence) for number in self._middle):
            return False
        first, last, maxspan = sequence.first.time_ns, sequence.last.time_ns, self.maxspan_ns or 0
        lead = max((t for n in self._leading for t in self._before(n, sequence.key, first)), default=None)
        trail = min((t for n in self._trailing for t in self._after(n, sequence.key, last)), default=None)
        if self._leading and self._trailing:
            return lead is None or trail is None or trail - lead > maxspan
        if self._leading:
            return lead is None or last - lead > maxspan
        return not self._trailing or trail is None or trail - first > maxspan

    def _between(self, number: int, sequence: Completed) -> bool:
        before = next(hit for hit in reversed(sequence.hits[:number]) if hit is not None)
        after = next(hit for hit in sequence.hits[number:] if hit is not None)
        low, high = before.time_ns // _MS, after.time_ns // _MS
        times = self._seen[number].get(sequence.key, [])
        following = bisect_right(times, low, key=lambda time: time // _MS)
        return following < len(times) and times[following] // _MS < high

    def _before(self, number: int, key: Key, time_ns: int) -> list[int]:
        times = self._seen[number].get(key, [])
        index = bisect_left(times, time_ns)
        return times[index - 1 : index] if index else []

    def _after(self, number: int, key: Key, time_ns: int) -> list[int]:
        times = self._seen[number].get(key, [])
        index = bisect_right(times, time_ns)
        return times[index : index + 1]

    # --- time --------------------------------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> Iterator[Completed]:
        """Forget and decide what depends on events at or before `now_ns` alone; events up to then have all come."""
        maxspan = self.maxspan_ns
        if maxspan is None:
            return
        gone: set[Key] = set()
        while self._ends and self._ends[0][0] < now_ns:
            gone.add(self._ends.popleft()[1])
        for key in gone:
            self._expire(key, now_ns - maxspan)
        while self._waiting and self._waiting[0].first.time_ns + maxspan < now_ns:
            sequence = self._waiting.popleft()
            if self._absent(sequence):
                yield sequence
        if self.missing and now_ns >= self._next_sweep:
            self._next_sweep = now_ns + maxspan
            self._sweep(now_ns - 2 * maxspan)

    def _sweep(self, oldest_ns: int) -> None:
        """Forget events of missing stages that are too old to stand before a sequence that can still come."""
        for seen in self._seen.values():
            for key in list(seen):
                times = seen[key]
                del times[: bisect_left(times, oldest_ns)]
                if not times:
                    del seen[key]

    def _expire(self, key: Key, oldest_ns: int) -> None:
        stages = self._pending.get(key)
        if stages is None:
            return
        for chains in stages:
            chains[:] = [chain for chain in chains if chain[0].time_ns >= oldest_ns]
        if not any(stages):
            self._forget(key)

    def finish(self) -> Iterator[Completed]:
        """Decide all that waits: the end of the events counts as absence."""
        while self._waiting:
            sequence = self._waiting.popleft()
            if self._absent(sequence):
                yield sequence


def in_order(found: Sequence[Completed]) -> list[Completed]:
    """Sort sequences as Elasticsearch gives them: by their last event, then by key."""
    return sorted(found, key=lambda sequence: sequence.order)
