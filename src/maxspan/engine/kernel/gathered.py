"""What only the end of a batch decides: sequences in any order, samples, and single events under `head` or `tail`."""

from __future__ import annotations

import sys
from collections import Counter
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
from maxspan.engine.reference.event import Event, Key, Ordinal, shown_key
from maxspan.engine.reference.sample import find_samples
from maxspan.languages import plan

#: a field of our own that says which stages of a sample an event fulfils; no event can hold it
_MEMBER: Final = "\0stage"
#: samples have no order
_NO_ORDINAL: Final[Ordinal] = (0, (0, "", 0), 0)
_ADVANCE: Final = 256
_TRIM: Final = 1000
_NO_MORE: Final[tuple[int, Iterator[tuple[int, Hit]]]] = (sys.maxsize, iter(()))


class Limited(NamedTuple):
    """An event of a rule on single events that wants the first or last of them."""

    ordinal: Ordinal
    timestamp_ns: int | None
    survivor: Survivor


class Sampled(NamedTuple):
    """An event of a sample: of its fields only the keys, and which stages it fulfils, each with these keys."""

    event: Event
    survivor: Survivor
    keys: list[tuple[int, Key]]


class Gathered:
    """Holds what has come of each rule, in the order of the input, and gives the matches of all of it.

    Sequences are exact whatever the order of their hits. `lines` is where survivors have their lines.
    """

    def __init__(self, lines: LineStore) -> None:
        self.lines = lines
        self.hits = HitSpool()
        self.limited: dict[CompiledRule, list[Limited]] = {}
        self.samples: dict[CompiledRule, list[Sampled]] = {}
        self._sampled: dict[CompiledRule, Counter[tuple[int, Key]]] = {}

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

    def sample(self, rule: CompiledRule, item: Sampled) -> None:
        """Take an event of a sample.

        A sample of n stages needs no more than n events of a stage with one key: the others are not kept.
        """
        assert isinstance(rule.query, plan.SampleQuery)
        counts = self._sampled.setdefault(rule, Counter())
        most, wanted = len(rule.query.stages), False
        for key in item.keys:
            wanted = wanted or counts[key] < most
            counts[key] += 1
        if wanted:
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
        """Find samples among the survivors: whether they fulfil a stage is known, so stages ask for that alone."""
        sampled = _with_shared_keys(self.samples.get(rule, []), len(query.stages))
        survivors = {item.event.position: item.survivor for item in sampled}
        member = plan.Field(_MEMBER)
        stages = tuple(
            plan.Stage(None, plan.Comparison("==", member, plan.Literal(number)), stage.by)
            for number, stage in enumerate(query.stages)
        )
        asked = plan.SampleQuery(query.by, stages)
        for found in find_samples(asked, [item.event for item in sampled], rule.names, rule.evaluator, 1):
            keys = shown_key(found.key, query.keys(query.stages[0]), rule.evaluator, sample=True)
            chosen = [event for event in found.events if event is not None]
            yield RuleMatch(
                rule.rule,
                tuple(survivors[event.position].matched(self.lines, event.timestamp_ns) for event in chosen),
                keys,
            )


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


def _with_shared_keys(items: list[Sampled], stages: int) -> list[Sampled]:
    """Leave out events none of whose keys are there for every stage."""
    keys: list[set[Key]] = [set() for _ in range(stages)]
    for item in items:
        for number, key in item.keys:
            keys[number].add(key)
    shared = set.intersection(*keys)
    return [item for item in items if any(key in shared for _, key in item.keys)] if shared else []


def sampled(candidate: Candidate, rule: CompiledRule, roles: list[Role], survivor: Survivor) -> Sampled:
    """Keep of an event's fields the keys of a sample alone, and which stages it fulfils."""
    fields = {key.name: list(candidate.fields.get(key.name, ())) for role in roles for key in role.by}
    fields[_MEMBER] = [number for role in roles for number in role.numbers]
    time_ns = candidate.time_ns(rule.names.timestamp)
    keys = [(number, key) for role in roles for key in candidate.keys(role.by, rule) for number in role.numbers]
    return Sampled(Event(candidate.position, fields, time_ns, _NO_ORDINAL), survivor, keys)
