"""What a candidate is to a sequence."""

from __future__ import annotations

from maxspan.engine.kernel.compiled import CompiledRule, Role
from maxspan.engine.kernel.events import Candidate
from maxspan.engine.kernel.machine import Hit
from maxspan.engine.kernel.survivors import Survivor


def hit_of(candidate: Candidate, rule: CompiledRule, roles: list[Role], survivor: Survivor) -> Hit | None:
    """Give what an event is to a sequence; None if it lacks the keys of all its stages."""
    hit = Hit(candidate.ordinal(rule), survivor, [], [], [])
    for role in roles:
        keys = candidate.keys(role.by, rule)
        if not keys:
            continue
        if role.kind == "until":
            hit.until += keys
        else:
            chosen = hit.missing if role.kind == "missing" else hit.positive
            chosen += [(number, keys) for number in role.numbers]
    if not (hit.positive or hit.missing or hit.until):
        return None
    hit.positive.sort(key=lambda part: part[0])
    return hit


def survivor_of(candidate: Candidate) -> Survivor:
    return Survivor(candidate.raw, candidate.position, candidate.path, candidate.number, candidate.index, candidate.id)
