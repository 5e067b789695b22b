"""Events in the head of a run that nothing in the run waits for: perhaps something from before it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from maxspan.engine.kernel.compiled import CompiledRule, CompiledRules
from maxspan.engine.kernel.events import Candidate
from maxspan.engine.kernel.hits import hit_of
from maxspan.engine.kernel.machine import Hit
from maxspan.engine.kernel.skipping import EVERY_HOST, Skipping
from maxspan.engine.kernel.survivors import LineStore, Survivor
from maxspan.sources.document import decode_line, flatten

#: so many events are kept decoded; of more, only the lines
_DECODED: Final = 10_000

Found: TypeAlias = tuple[CompiledRule, str, Hit]


@dataclass(slots=True)
class _Put:
    """One event: what of it nothing waited for, and its fields if they are still there."""

    mask: int
    survivor: Survivor
    fields: Any


class Aside:
    """Keeps such events, and finds those for which something waits after all."""

    def __init__(self, store: LineStore) -> None:
        self._store = store
        self._puts: list[_Put] = []

    def put(self, candidate: Candidate, mask: int) -> None:
        """Keep an event, as far as a mask of pieces goes."""
        survivor = Survivor(
            candidate.raw, candidate.position, candidate.path, candidate.number, candidate.index, candidate.id
        )
        survivor.keep(self._store)
        self._puts.append(_Put(mask, survivor, candidate.fields if len(self._puts) < _DECODED else None))

    def found(self, compiled: CompiledRules, skipping: Skipping) -> Iterator[Found]:
        """Give hits of what is open in `skipping`, by rule and host; they open what follows them.

        Of rules whose events are not in order all hits are given.
        """
        hits = [found for put in self._puts for found in self._hits(put, compiled, skipping, put.mask)]
        if skipping.unsure:
            hits = [found for found in hits if found[0] not in skipping.unsure]
            own = sum(1 << number for number, (role, _) in enumerate(compiled.pieces) if role.rule in skipping.unsure)
            hits += [found for put in self._puts for found in self._hits(put, compiled, None, put.mask & own)]
        yield from hits

    def _hits(self, put: _Put, compiled: CompiledRules, skipping: Skipping | None, mask: int) -> Iterator[Found]:
        survivor, fields = put.survivor, put.fields
        if fields is None:
            fields = flatten(decode_line(self._store.read(survivor.kept)), compiled.decoder.wanted)
        if skipping is not None:
            mask = skipping.narrow_candidate(mask, fields)
        if not mask:
            return
        candidate = Candidate(mask, fields, survivor.position, survivor.path, survivor.line)
        for part in compiled.parts(mask):
            rule = part.rule
            roles = part.held(fields)
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
