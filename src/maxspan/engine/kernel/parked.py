"""Events that wait in the compiled scanner: they begin a sequence, or are for a sample, and most are never looked at.

They come here when something may continue them, when a sample has an event for each stage, or when they are many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeAlias

from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules, Role
from maxspan.engine.kernel.events import Candidate
from maxspan.engine.kernel.gathered import Gathered, Sampled
from maxspan.engine.kernel.hits import hit_of, survivor_of
from maxspan.engine.kernel.in_order import InOrder
from maxspan.engine.kernel.machine import Hit
from maxspan.engine.kernel.open_keys import texts_of
from maxspan.engine.kernel.reader import ScanReader
from maxspan.engine.kernel.sample_spool import SampleSpool
from maxspan.engine.kernel.skipping import Skipping
from maxspan.languages import plan

if TYPE_CHECKING:
    from maxspan.engine.kernel.native._scan import Parked

#: takes a hit that begins a sequence of a rule, and its host
Begin = Callable[[CompiledRule, Hit, str], None]

#: a position in the input, and what is there: an event that waited, or one that was taken at once
_Item: TypeAlias = "tuple[int, Parked | None, Sampled | None]"

#: Events wait in the scanner as long as they take no more bytes than this; that is looked at after so many chunks.
MOST_BYTES: Final = 16 << 20
MOST_SAMPLED: Final = 4 << 20
LOOK_AFTER: Final = 64


class ParkedEvents:
    """Takes events that wait in the scanner when their time has come."""

    def __init__(self, compiled: CompiledRules, skipping: Skipping, reader: ScanReader) -> None:
        self._rules = compiled.rules
        self._skipping = skipping
        self._reader = reader
        self._spool = SampleSpool()
        self._chunks = 0

    def hits_for(self, rule: CompiledRule, hit: Hit, host: str) -> list[Hit]:
        """Give what a hit may continue; all of its rule at this host if it begins a sequence itself."""
        lane = self._skipping.lane(host)
        if lane is None:
            return []
        lane.taken_ns = max(lane.taken_ns, hit.time_ns)
        if not rule.begins_alone or not lane.bytes:
            return []
        if hit.positive and hit.positive[0][0] == 0:
            return self._hits(rule, self._skipping.parked(rule, lane, None))
        keys = {texts_of(key) for key in (*hit.until, *(key for _, keys in hit.positive for key in keys))}
        return [one for texts in keys - {None} for one in self._hits(rule, self._skipping.parked(rule, lane, texts))]

    def hits_before(self, in_order: InOrder, rule: CompiledRule, hit: Hit, host: str) -> list[Hit]:
        """Do the same for a batch: a rule is unsure if what a hit may continue may have been forgotten."""
        lane = self._skipping.lane(host)
        if lane is not None and rule.begins_alone and hit.time_ns <= lane.dropped_ns:
            in_order.give_up(rule)
        return self.hits_for(rule, hit, host)

    def _hits(self, rule: CompiledRule, events: Iterable[Parked]) -> list[Hit]:
        out = []
        for event in events:
            candidate = self._reader.waited(event)
            hit = hit_of(candidate, rule, rule.roles[:1], survivor_of(candidate))
            assert hit is not None
            out.append(hit)
        return out

    @property
    def failure(self) -> str:
        """Say why events stay in memory, if they have to."""
        return self._spool.failure

    def take_complete(self, gathered: Gathered) -> None:
        """Take the events of those samples of which each stage has an event; to the others they are nothing."""
        for rule in self._rules:
            query = rule.query
            if isinstance(query, plan.SampleQuery):
                seen = self._skipping.seen(rule) | gathered.stages_of(rule)
                if len(seen) == len(query.stages):
                    self._take_sampled(rule, gathered, only_complete=rule in self._spool)

    def sampled(self, rule: CompiledRule, gathered: Gathered) -> list[Sampled]:
        """Give the events of a sample."""
        self._take_sampled(rule, gathered)
        return gathered.withdraw(rule)

    def _take_sampled(self, rule: CompiledRule, gathered: Gathered, *, only_complete: bool = False) -> None:
        """Take the events of a sample, in the order of all; perhaps only those with a key that all stages have."""
        here = self._skipping.sampled(rule)
        wanted = self._complete_keys(rule, gathered, here) if only_complete else None
        waited: Iterator[_Item] = ((event[3], event, None) for event in chain(self._spool.read(rule), here))
        others: Iterator[_Item] = ((item.position, None, item) for item in gathered.withdraw(rule))
        for _, event, item in merge(waited, others, key=itemgetter(0)):
            if item is not None:
                gathered.sampled(rule, item)
            if event is None:
                continue
            candidate, roles = self._read_again(rule, event)
            if wanted is None or any(hash(key) in wanted for role in roles for key in candidate.keys(role.by, rule)):
                gathered.sample(rule, roles, candidate, survivor_of(candidate))
        self._spool.forget(rule)

    def _complete_keys(self, rule: CompiledRule, gathered: Gathered, events: list[Parked]) -> set[int]:
        """Give the hashes of the keys for which each stage of a sample has an event."""
        assert isinstance(rule.query, plan.SampleQuery)
        every = (1 << len(rule.query.stages)) - 1
        stages: dict[int, int] = {}
        for number, key in gathered.keys_of(rule):
            stages[hash(key)] = stages.get(hash(key), 0) | 1 << number
        for source in (self._spool.read(rule), events):
            for event in source:
                candidate, roles = self._read_again(rule, event)
                for role in roles:
                    bits = sum(1 << number for number in role.numbers)
                    for key in candidate.keys(role.by, rule):
                        stages[hash(key)] = stages.get(hash(key), 0) | bits
        return {key for key, bits in stages.items() if bits == every}

    def _read_again(self, rule: CompiledRule, event: Parked) -> tuple[Candidate, list[Role]]:
        roles = [role for place, role in enumerate(rule.roles) if event[4] >> place & 1]
        return self._reader.waited(event), roles

    def relieve(self, begin: Begin) -> None:
        """Take events once they are many: those that begin a sequence go to `begin`, those of samples to a file."""
        self._chunks += 1
        if self._chunks % LOOK_AFTER:
            return
        if self._skipping.sampled_bytes > MOST_SAMPLED:
            for rule in self._rules:
                if events := self._skipping.sampled(rule):
                    self._spool.add(rule, events)
        if self._skipping.parked_bytes > MOST_BYTES:
            self.take_begun(begin)

    def take_begun(self, begin: Begin, *, alive: bool = False) -> None:
        """Take all events that begin a sequence. `alive`: see `Skipping.all_parked`."""
        for rule, host, events in self._skipping.all_parked(alive=alive):
            for hit in self._hits(rule, events):
                begin(rule, hit, host)

    def take_all(self, begin: Begin, gathered: Gathered) -> None:
        """Take all events, for a snapshot."""
        self.take_begun(begin)
        for rule in self._rules:
            if isinstance(rule.query, plan.SampleQuery):
                self._take_sampled(rule, gathered)
