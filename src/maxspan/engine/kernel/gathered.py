"""What only the end of a batch decides: sequences in any order, samples, and single events under `head` or `tail`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Final, NamedTuple

from maxspan.engine.kernel.compiled import CompiledRule, Role
from maxspan.engine.kernel.events import Candidate
from maxspan.engine.kernel.hit_spool import HitSpool
from maxspan.engine.kernel.in_order import new_machine
from maxspan.engine.kernel.machine import Completed, Hit, in_order
from maxspan.engine.kernel.survivors import LineStore, Survivor
from maxspan.engine.limits import limit
from maxspan.engine.match import RuleMatch
from maxspan.engine.reference.event import Key, Ordinal, key_order, shown_key
from maxspan.engine.reference.sample import distinct
from maxspan.languages import plan

_ADVANCE: Final = 256
_TRIM: Final = 1000
_NO_MORE: Final[tuple[int, Iterator[tuple[int, Hit]]]] = (sys.maxsize, iter(()))


class Limited(NamedTuple):
    """An event of a rule on single events that wants the first or last of them."""

    ordinal: Ordinal
    timestamp_ns: int | None
    survivor: Survivor


class Sampled(NamedTuple):
    """An event of a sample: which stages it fulfils, each with these keys."""

    survivor: Survivor
    timestamp_ns: int | None
    keys: list[tuple[int, Key]]

    @property
    def position(self) -> int:
        return self.survivor.position


class Gathered:
    """Holds what has come of each rule, in the order of the input, and gives the matches of all of it.

    Sequences are exact whatever the order of their hits. `lines` is where survivors have their lines.
    """

    def __init__(self, lines: LineStore) -> None:
        self.lines = lines
        self.hits = HitSpool()
        self.limited: dict[CompiledRule, list[Limited]] = {}
        self.samples: dict[CompiledRule, list[Sampled]] = {}
        self._sampled: dict[CompiledRule, dict[tuple[int, Key], int]] = {}

    def following(self) -> Gathered:
        """Give an empty one that takes what comes after this; of samples only what they still need."""
        out = Gathered(self.lines)
        out._sampled = self._sampled
        return out

    # --- taking ------------------------------------------------------------------------------------------------------

    def hit(self, rule: CompiledRule, hit: Hit) -> None:
        """Take a hit of a sequence."""
        hit.survivor.keep(self.lines)
        self.hits.add(rule.number, hit)

    def limit(self, rule: CompiledRule, item: Limited) -> None:
        """Take an event of a rule with pipes; what the first pipe leaves out is forgotten now and then."""
        item.survivor.keep(self.lines)
        items = self.limited.setdefault(rule, [])
        items.append(item)
        first = rule.query.pipes[0]  # type: ignore[union-attr] # samples come elsewhere
        if len(items) > 2 * first.count + _TRIM:
            items.sort(key=attrgetter("ordinal"))
            items[:] = limit(items, [first])

    def sample(self, rule: CompiledRule, roles: Iterable[Role], candidate: Candidate, survivor: Survivor) -> None:
        """Take an event of a sample."""
        keys = [(number, key) for role in roles for key in candidate.keys(role.by, rule) for number in role.numbers]
        if self._are_wanted(rule, keys):
            self._keep(rule, Sampled(survivor, candidate.time_ns(rule.names.timestamp), keys))

    def sampled(self, rule: CompiledRule, item: Sampled) -> None:
        """Take an event of a sample that was taken before, in another process or before a pause."""
        if self._are_wanted(rule, item.keys):
            self._keep(rule, item)

    def stages_of(self, rule: CompiledRule) -> set[int]:
        """Give the numbers of the stages of a sample that an event came for."""
        return {number for number, _ in self._sampled.get(rule, ())}

    def keys_of(self, rule: CompiledRule) -> Iterable[tuple[int, Key]]:
        """Give the stages of a sample that events came for, each with its keys."""
        return self._sampled.get(rule, {}).keys()

    def withdraw(self, rule: CompiledRule) -> list[Sampled]:
        """Give the events of a sample back, in their order: they are to be taken again, with others."""
        self._sampled.pop(rule, None)
        return self.samples.pop(rule, [])

    def _are_wanted(self, rule: CompiledRule, keys: Iterable[tuple[int, Key]]) -> bool:
        """Whether an event may be part of a sample.

        A sample of n stages needs no more than n events of a stage with one key: the others are not kept.
        """
        assert isinstance(rule.query, plan.SampleQuery)
        counts = self._sampled.get(rule)
        if counts is None:
            counts = self._sampled[rule] = {}
        most, wanted = len(rule.query.stages), False
        for key in keys:
            count = counts.get(key, 0)
            wanted = wanted or count < most
            counts[key] = count + 1
        return wanted

    def _keep(self, rule: CompiledRule, item: Sampled) -> None:
        item.survivor.keep(self.lines)
        self.samples.setdefault(rule, []).append(item)

    # --- giving ------------------------------------------------------------------------------------------------------

    def matches(
        self, rules: Iterable[CompiledRule], completed: dict[CompiledRule, list[Completed]]
    ) -> Iterator[RuleMatch]:
        """Give the matches of rules, which are in the order of numbers; `completed` are sequences found before."""
        groups = groupby(self.hits.sorted(), key=itemgetter(0))
        number, hits = next(groups, _NO_MORE)
        for rule in rules:
            if isinstance(rule.query, plan.SequenceQuery):
                while number < rule.number:
                    number, hits = next(groups, _NO_MORE)
                found = completed.get(rule, [])
                if number == rule.number:
                    found = found + sequences(rule, (hit for _, hit in hits))
                for sequence in limit(in_order(found), rule.query.pipes):
                    yield sequence_match(rule, sequence, self.lines)
            elif isinstance(rule.query, plan.EventQuery):
                items = sorted(self.limited.get(rule, ()), key=attrgetter("ordinal"))
                for item in limit(items, rule.query.pipes):
                    yield RuleMatch(rule.rule, (item.survivor.matched(self.lines, item.timestamp_ns),))
            else:
                yield from self._samples_of(rule, rule.query)

    def _samples_of(self, rule: CompiledRule, query: plan.SampleQuery) -> Iterator[RuleMatch]:
        """Find samples, one of each key that every stage has an event with; see `find_samples`."""
        buckets: list[dict[Key, list[Sampled]]] = [{} for _ in query.stages]
        for item in self.samples.get(rule, ()):
            for number, key in item.keys:
                buckets[number].setdefault(key, []).append(item)
        by = query.keys(query.stages[0])
        for key in sorted(set(buckets[0]).intersection(*buckets[1:]), key=key_order):
            chosen = next(distinct([bucket[key] for bucket in buckets]), None)
            if chosen is not None:
                events = tuple(item.survivor.matched(self.lines, item.timestamp_ns) for item in chosen)
                yield RuleMatch(rule.rule, events, shown_key(key, by, rule.evaluator, sample=True))


def sequences(rule: CompiledRule, hits: Iterable[Hit]) -> list[Completed]:
    """Find the sequences among hits in the order of events."""
    machine = new_machine(rule)
    found: list[Completed] = []
    for number, hit in enumerate(hits):
        if number % _ADVANCE == 0:
            found += machine.advance(hit.time_ns)
        found += machine.take(hit)
    found += machine.finish()
    return found


def sequence_match(rule: CompiledRule, sequence: Completed, lines: LineStore) -> RuleMatch:
    """Give a complete sequence as a match."""
    query = rule.query
    assert isinstance(query, plan.SequenceQuery)
    by = query.keys(next(stage for stage in query.stages if not stage.missing))
    events = tuple(None if hit is None else hit.survivor.matched(lines, hit.time_ns) for hit in sequence.hits)
    return RuleMatch(rule.rule, events, shown_key(sequence.key, by, rule.evaluator))
