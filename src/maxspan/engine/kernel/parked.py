"""Events that wait in the compiled scanner: they begin a sequence, or are for a sample, and most are never looked at.

They come here when something may continue them, when a sample has an event for each stage, or when they are many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules
from maxspan.engine.kernel.gathered import Gathered
from maxspan.engine.kernel.hits import hit_of, survivor_of
from maxspan.engine.kernel.in_order import InOrder
from maxspan.engine.kernel.machine import Hit
from maxspan.engine.kernel.open_keys import texts_of
from maxspan.engine.kernel.reader import ScanReader
from maxspan.engine.kernel.skipping import Skipping
from maxspan.languages import plan

if TYPE_CHECKING:
    from maxspan.engine.kernel.native._scan import Parked

#: takes a hit that begins a sequence of a rule, and its host
Begin = Callable[[CompiledRule, Hit, str], None]

#: Events wait as long as they take no more bytes than this; that is looked at after so many chunks.
MOST_BYTES: Final = 16 << 20
LOOK_AFTER: Final = 64


class ParkedEvents:
    """Takes events that wait in the scanner when their time has come."""

    def __init__(self, compiled: CompiledRules, skipping: Skipping, reader: ScanReader) -> None:
        self._rules = compiled.rules
        self._skipping = skipping
        self._reader = reader
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

    def take_for(self, in_order: InOrder, rule: CompiledRule, hit: Hit, host: str) -> None:
        """Give a batch what a hit may continue; a rule is unsure if that may have been forgotten."""
        lane = self._skipping.lane(host)
        if lane is not None and rule.begins_alone and hit.time_ns <= lane.dropped_ns:
            in_order.give_up(rule)
        for one in self.hits_for(rule, hit, host):
            in_order.take(rule, one, host, has_waited=True)

    def _hits(self, rule: CompiledRule, events: Iterable[Parked]) -> list[Hit]:
        out = []
        for event in events:
            candidate = self._reader.waited(event)
            hit = hit_of(candidate, rule, rule.roles[:1], survivor_of(candidate))
            assert hit is not None
            out.append(hit)
        return out

    def take_sampled(self, rule: CompiledRule, gathered: Gathered) -> None:
        """Take the events of a sample."""
        for event in self._skipping.sampled(rule):
            candidate = self._reader.waited(event)
            roles = [role for place, role in enumerate(rule.roles) if event[4] >> place & 1]
            gathered.sample(rule, roles, candidate, survivor_of(candidate))

    def take_complete(self, gathered: Gathered) -> None:
        """Take the events of those samples of which each stage has an event; to the others they are nothing."""
        for rule in self._rules:
            query = rule.query
            if isinstance(query, plan.SampleQuery):
                seen = self._skipping.seen(rule) | gathered.stages_of(rule)
                if len(seen) == len(query.stages):
                    self.take_sampled(rule, gathered)

    def relieve(self, begin: Begin, gathered: Gathered) -> None:
        """Take all events once they are many, of which those that begin a sequence go to `begin`."""
        self._chunks += 1
        if self._chunks % LOOK_AFTER == 0 and self._skipping.parked_bytes > MOST_BYTES:
            self.take_all(begin, gathered)

    def take_all(self, begin: Begin, gathered: Gathered) -> None:
        """Take all events: what is kept outside the scanner can go to a file."""
        for rule, host, events in self._skipping.all_parked():
            for hit in self._hits(rule, events):
                begin(rule, hit, host)
        for rule in self._rules:
            self.take_sampled(rule, gathered)
