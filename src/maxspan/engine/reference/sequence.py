"""Sequences: the state machine per join key (section 2), `until` (4), `with runs` (5) and missing events (6)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from maxspan.engine.reference.condition import Evaluator
from maxspan.engine.reference.event import Event, FieldNames, Key, in_stage, key_order, keys_of
from maxspan.languages import plan

_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """One sequence: an event per stage in the order of the query, `None` for a missing one, and its key."""

    events: tuple[Event | None, ...]
    key: Key

    @property
    def present(self) -> list[Event]:
        return [event for event in self.events if event is not None]


def find_sequences(
    query: plan.SequenceQuery, events: Iterable[Event], names: FieldNames, evaluator: Evaluator
) -> list[Found]:
    """Find all sequences, ordered by their last event, ties by key; pipes are not applied.

    `events` come in any order; those without a timestamp take no part.
    """
    ordered = sorted((event for event in events if event.timestamp_ns is not None), key=lambda event: event.ordinal)
    stages = query.expanded()
    positive = [stage for stage in stages if not stage.missing]
    matcher = _Matcher(query.maxspan_ns, len(positive))
    for event in ordered:
        if query.until is not None and in_stage(event, query.until, names, evaluator):
            for key in keys_of(event, query.keys(query.until), evaluator):
                matcher.until(event, key)
        for index, stage in enumerate(positive):
            if in_stage(event, stage, names, evaluator):
                for key in keys_of(event, query.keys(stage), evaluator):
                    matcher.offer(event, index, key)
    found = [_place(stages, chain, key) for chain, key in matcher.completed]
    if len(positive) < len(stages):
        absence = _Absence(query, stages, ordered, names, evaluator)
        found = [sequence for sequence in found if absence.holds(sequence)]
    return sorted(found, key=lambda sequence: (sequence.present[-1].ordinal, key_order(sequence.key)))


def _place(stages: Sequence[plan.Stage], chain: Sequence[Event], key: Key) -> Found:
    remaining = iter(chain)
    return Found(tuple(None if stage.missing else next(remaining) for stage in stages), key)


class _Matcher:
    """The pending sequences per stage and key (section 2)."""

    def __init__(self, maxspan_ns: int | None, stage_count: int) -> None:
        self.maxspan_ns = maxspan_ns
        self.last_stage = stage_count - 1
        self.pending: list[dict[Key, list[tuple[Event, ...]]]] = [defaultdict(list) for _ in range(stage_count)]
        self.untils: dict[Key, list[Event]] = defaultdict(list)
        self.completed: list[tuple[tuple[Event, ...], Key]] = []

    def until(self, event: Event, key: Key) -> None:
        self.untils[key].append(event)

    def offer(self, event: Event, stage: int, key: Key) -> None:
        """Give an event to a stage: it starts a sequence or continues the latest one that is strictly older."""
        if stage == 0:
            self._advance((event,), stage, key)
            return
        waiting = self.pending[stage - 1][key]
        index = next((i for i in reversed(range(len(waiting))) if waiting[i][-1].ordinal < event.ordinal), None)
        if index is None:
            return
        chain = waiting[index]
        del waiting[: index + 1]  # it and all older ones are gone, whatever the checks say
        if self.maxspan_ns is not None and event.time_ns - chain[0].time_ns > self.maxspan_ns:
            return
        if not self._ended(chain[-1], event, key):
            self._advance((*chain, event), stage, key)

    def _advance(self, chain: tuple[Event, ...], stage: int, key: Key) -> None:
        if stage == self.last_stage:
            self.completed.append((chain, key))
        else:
            self.pending[stage][key].append(chain)

    def _ended(self, last: Event, event: Event, key: Key) -> bool:
        """Whether the latest `until` event before `event` stands at or after the last event so far (section 4)."""
        latest = next((until for until in reversed(self.untils[key]) if until.ordinal < event.ordinal), None)
        return latest is not None and last.ordinal <= latest.ordinal


class _Absence:
    """The missing stages of a query, checked against every completed sequence (section 6)."""

    def __init__(
        self,
        query: plan.SequenceQuery,
        stages: Sequence[plan.Stage],
        ordered: Sequence[Event],
        names: FieldNames,
        evaluator: Evaluator,
    ) -> None:
        self.maxspan_ns = query.maxspan_ns or 0
        self.seen: list[dict[Key, list[Event]] | None] = []
        for stage in stages:
            if not stage.missing:
                self.seen.append(None)
                continue
            by_key: dict[Key, list[Event]] = defaultdict(list)
            for event in ordered:
                if in_stage(event, stage, names, evaluator):
                    for key in keys_of(event, query.keys(stage), evaluator):
                        by_key[key].append(event)
            self.seen.append(by_key)

    def holds(self, sequence: Found) -> bool:
        """Whether all missing stages are absent around and between the events of a sequence."""
        places = [index for index, event in enumerate(sequence.events) if event is not None]
        middle = [i for i in range(places[0], places[-1]) if sequence.events[i] is None]
        if any(self._between(index, sequence) for index in middle):
            return False
        lead = self._lead(range(places[0]), sequence)
        trail = self._trail(range(places[-1] + 1, len(sequence.events)), sequence)
        first, last = sequence.present[0].time_ns, sequence.present[-1].time_ns
        leading, trailing = places[0] > 0, places[-1] < len(sequence.events) - 1
        if leading and trailing:
            return lead is None or trail is None or trail - lead > self.maxspan_ns
        if leading:
            return lead is None or last - lead > self.maxspan_ns
        return not trailing or trail is None or trail - first > self.maxspan_ns

    def _events(self, index: int, key: Key) -> list[Event]:
        return (self.seen[index] or {}).get(key, [])

    def _between(self, index: int, sequence: Found) -> bool:
        """Whether an event of a middle stage stands between its neighbours: in milliseconds, both ends excluded."""
        before = next(event for event in reversed(sequence.events[:index]) if event is not None)
        after = next(event for event in sequence.events[index:] if event is not None)
        low, high = before.time_ns // _MS, after.time_ns // _MS
        events = self._events(index, sequence.key)
        following = bisect_right(events, low, key=lambda event: event.time_ns // _MS)
        return following < len(events) and events[following].time_ns // _MS < high

    def _lead(self, stages: range, sequence: Found) -> int | None:
        """Give the time of the latest event of the leading stages before the first one of the sequence."""
        first = sequence.present[0].time_ns
        latest: int | None = None
        for index in stages:
            events = self._events(index, sequence.key)
            before = bisect_left(events, first, key=lambda event: event.time_ns)
            if before and (latest is None or events[before - 1].time_ns > latest):
                latest = events[before - 1].time_ns
        return latest

    def _trail(self, stages: range, sequence: Found) -> int | None:
        """Give the time of the earliest event of the trailing stages after the last one of the sequence."""
        last = sequence.present[-1].time_ns
        earliest: int | None = None
        for index in stages:
            events = self._events(index, sequence.key)
            after = bisect_right(events, last, key=lambda event: event.time_ns)
            if after < len(events) and (earliest is None or events[after].time_ns < earliest):
                earliest = events[after].time_ns
        return earliest
