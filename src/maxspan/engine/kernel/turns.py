"""What lanes ask when the turn of events has come: what they are to sequences, and what waits in the scanner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules
from maxspan.engine.kernel.events import Candidate
from maxspan.engine.kernel.hits import hit_of, survivor_of
from maxspan.engine.kernel.machine import Hit
from maxspan.engine.kernel.native.scanning import Scanning
from maxspan.engine.kernel.open_keys import EARLIEST
from maxspan.engine.kernel.parked import ParkedEvents
from maxspan.engine.kernel.reader import ScanReader
from maxspan.engine.kernel.skipping import Skipping
from maxspan.engine.kernel.survivors import Survivor
from maxspan.engine.reference.event import FieldNames, Ordinal

if TYPE_CHECKING:
    from maxspan.engine.kernel.native._scan import Lane, Skip

#: the order of events that most rules have
_NAMES = FieldNames()


def waiting(compiled: CompiledRules) -> tuple[int, int]:
    """Give the pieces of sequences whose events wait for their turn together, and which of them join by host."""
    waits = by_host = 0
    for number, (role, _) in enumerate(compiled.pieces):
        names = role.rule.names
        if role.rule.is_sequence and (names.timestamp, names.tiebreaker) == (_NAMES.timestamp, _NAMES.tiebreaker):
            waits |= 1 << number
            by_host |= 1 << number if role.rule.host_key else 0
    return waits, by_host


class Turns:
    """Judges events whose turn has come."""

    def __init__(self, compiled: CompiledRules, skipping: Skipping | None, parked: ParkedEvents | None) -> None:
        self._compiled = compiled
        self._skipping = skipping
        self._parked = parked

    def judged(self, candidate: Candidate, mask: int, lane: str) -> Iterator[tuple[CompiledRule, Hit]]:
        """Give what a candidate is to sequences, now that its turn has come."""
        assert self._skipping is not None
        return self._hits(candidate, self._skipping.narrow_candidate(mask, candidate.fields), lane)

    def begun(self, rule: CompiledRule, hit: Hit, lane: str) -> list[Hit]:
        """Give the hits that began a sequence and waited for this one, in their order."""
        return [] if self._parked is None else self._parked.hits_for(rule, hit, lane)

    def _hits(self, candidate: Candidate, mask: int, lane: str) -> Iterator[tuple[CompiledRule, Hit]]:
        skipping = self._skipping
        assert skipping is not None
        survivor: Survivor | None = None
        for part in self._compiled.parts(mask) if mask else ():
            roles = part.held(candidate.fields)
            if not roles:
                continue
            survivor = survivor or survivor_of(candidate)
            hit = hit_of(candidate, part.rule, roles, survivor)
            if hit is not None:
                for role in roles:
                    if role.kind == "positive":
                        skipping.opened(role, lane, hit.time_ns, candidate.keys(role.by, part.rule))
                yield part.rule, hit


class ScannedTurns(Turns):
    """Judges events that wait in the scanner, too."""

    def __init__(
        self,
        compiled: CompiledRules,
        skipping: Skipping,
        parked: ParkedEvents,
        reader: ScanReader,
        scanning: Scanning,
        wait_ns: int,
    ) -> None:
        super().__init__(compiled, skipping, parked)
        self._opened = skipping
        self._reader = reader
        self._scanning = scanning
        skip = skipping.skip
        assert skip is not None
        self._skip: Skip = skip
        waits, by_host = waiting(compiled)
        scanning.wait(skip, by_host, waits & ~by_host, wait_ns)

    def lane(self, name: str) -> Lane:
        """Give the scanner's lane of that name."""
        lane = self._opened.lane(name)
        assert lane is not None
        return lane

    def names(self) -> list[str]:
        """Give the names of all lanes that an event has come to."""
        return [name for name, lane in self._opened.lanes() if lane.latest_ns > EARLIEST]

    def changed(self) -> Iterator[str]:
        """Give the names of lanes that have to be looked after, now that events have come."""
        while (name := self._scanning.changed(self._skip)) is not None:
            yield name

    def advance(self, now_ns: int) -> None:
        """Let time go on for all lanes that an event has come to."""
        for name in self.names():
            self._scanning.tell(self._skip, self.lane(name), now_ns)

    def turn(self, lane: Lane, name: str, until_ns: int) -> Iterable[tuple[CompiledRule, Hit]] | None:
        """Give what the next event up to a time is to sequences that is more than nothing; None if there is none."""
        found = self._scanning.turn(self._skip, lane, until_ns)
        if found is None:
            return None
        mask, event = found
        return self._hits(self._reader.waited(event), mask, name)

    def turns(self, lane: Lane, until_ns: int) -> Iterator[tuple[Ordinal, Candidate, int]]:
        """Give all events up to a time, with the pieces that wait."""
        for mask, event in self._scanning.turns(lane, until_ns):
            candidate = self._reader.waited(event)
            rule = self._compiled.pieces[mask.bit_length() - 1][0].rule
            yield candidate.ordinal(rule), candidate, mask
