"""Events in the head of a run that nothing in the run waits for: perhaps something from before it does."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from maxspan.engine.jobs.heads import HeadSkipping
from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules
from maxspan.engine.kernel.events import Candidate
from maxspan.engine.kernel.hits import hit_of, survivor_of
from maxspan.engine.kernel.machine import Hit
from maxspan.engine.kernel.reader import Reader
from maxspan.engine.kernel.skipping import EVERY_HOST, Skipping
from maxspan.engine.kernel.survivors import LineStore, Survivor

if TYPE_CHECKING:
    from maxspan.engine.kernel.native._scan import Parked

#: so many events are kept decoded; of more, only the lines
_DECODED: Final = 10_000
#: events stay in the scanner as long as they take no more bytes than this
_MOST_BYTES: Final = 16 << 20

#: a rule at a host
Place: TypeAlias = tuple[CompiledRule, str]
Found: TypeAlias = tuple[CompiledRule, str, Hit]


@dataclass(slots=True)
class _Put:
    """One event: what of it nothing waited for, and its fields if they are still there."""

    mask: int
    survivor: Survivor
    fields: Any


class Aside:
    """Keeps such events, and finds those for which something waits after all. Most are with the scanner."""

    def __init__(self, store: LineStore, head: HeadSkipping, reader: Reader) -> None:
        self._store, self._head, self._reader = store, head, reader
        self._puts: list[_Put] = []

    def put(self, candidate: Candidate, mask: int) -> None:
        """Keep an event that Python has looked at, as far as a mask of pieces goes."""
        survivor = survivor_of(candidate)
        survivor.keep(self._store)
        self._puts.append(_Put(mask, survivor, candidate.fields if len(self._puts) < _DECODED else None))

    def relieve(self) -> None:
        """Take what the scanner has put aside once it is much."""
        if self._head.aside_bytes > _MOST_BYTES:
            self._take()

    def _take(self) -> None:
        for mask, event in self._head.take_aside():
            survivor = _survivor(event)
            survivor.keep(self._store)
            self._puts.append(_Put(mask, survivor, None))

    def found(self, compiled: CompiledRules, skipping: Skipping, places: Collection[Place]) -> Iterator[Found]:
        """Give hits of what is open in `skipping`, by rule and host; they open what follows them.

        They are of these rules at these hosts. Of rules whose events are not in order all hits are given.
        """
        wanted = _pieces(compiled, {rule for rule, _ in places})
        hosts = {host for _, host in places}
        if self._puts:  # then all are looked at here, for their order
            self._take()
            self._puts.sort(key=lambda put: put.survivor.position)
        hits = [found for one in self._open(skipping, wanted, hosts) for found in _hits(compiled, *one, skipping)]
        if skipping.unsure:
            hits = [found for found in hits if found[0] not in skipping.unsure]
            own = wanted & _pieces(compiled, skipping.unsure)
            hits += [found for one in self._open(None, own, hosts) for found in _hits(compiled, *one, None)]
        yield from hits

    def _open(
        self, skipping: Skipping | None, wanted: int, hosts: Collection[str]
    ) -> Iterator[tuple[Candidate, Survivor]]:
        """Give the events of a mask that continue something, or all of them, in the order of each host."""
        for put in self._puts:
            survivor, mask = put.survivor, put.mask & wanted
            if mask:
                fields = put.fields
                if fields is None:
                    fields = self._reader.fields(self._store.read(survivor.kept))
                mask = mask if skipping is None else skipping.narrow_candidate(mask, fields)
                if mask:
                    yield Candidate(mask, fields, survivor.position, survivor.path, survivor.line), survivor
        for mask, event in self._head.put_aside(skipping.skip if skipping is not None else None, wanted, hosts):
            survivor = _survivor(event)
            fields = self._reader.fields(event[0])
            yield Candidate(mask, fields, survivor.position, survivor.path, survivor.line), survivor


def _survivor(event: Parked) -> Survivor:
    line, path, number, position, _ = event
    return Survivor(line, position, path, number, "", "")


def _pieces(compiled: CompiledRules, rules: Collection[CompiledRule]) -> int:
    """Give the mask of rules."""
    return sum(1 << number for number, (role, _) in enumerate(compiled.pieces) if role.rule in rules)


def _hits(
    compiled: CompiledRules, candidate: Candidate, survivor: Survivor, skipping: Skipping | None
) -> Iterator[Found]:
    """Give what an event is to sequences, by rule and host, and open what follows it."""
    for part in compiled.parts(candidate.mask):
        rule = part.rule
        roles = part.held(candidate.fields)
        hit = hit_of(candidate, rule, roles, survivor) if roles else None
        if hit is None:
            continue
        hosts = candidate.hosts if rule.host_key else (EVERY_HOST,)
        for host, own in hit.by_host(hosts, rule.host_place or 0).items():
            if skipping is not None:
                open_for(skipping, rule, own, host)
            yield rule, host, own


def open_for(skipping: Skipping, rule: CompiledRule, hit: Hit, host: str) -> None:
    """Let nothing be passed over that may continue a hit."""
    by_number = dict(hit.positive)
    for role in rule.roles:
        if role.kind == "positive":
            keys = [key for number in role.numbers for key in by_number.get(number, ())]
            if keys:
                skipping.opened(role, host, hit.time_ns, keys, in_turn=False)
