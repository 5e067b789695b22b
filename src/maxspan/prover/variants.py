"""One case for each alternative of a rule: every value of a list, every pattern, every side of an `or`.

A proof shows one way in which a rule fires. Here each literal of the query gets events of its own: those that fire
because of it, and, where it stands in an exclusion, those that do not fire because of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from maxspan.languages import plan
from maxspan.prover.goals import Goal
from maxspan.prover.judge import matches
from maxspan.prover.near_misses import apply_values
from maxspan.prover.proof import Proof, Variant
from maxspan.prover.scene import Scene, shown_bare
from maxspan.prover.solve import Budget, Solved, Solver

#: how many cases one rule gives at most
LIMIT: Final = 500


def variants(proof: Proof, *, limit: int = LIMIT, limit_seconds: float = 10.0) -> Iterator[Variant]:
    """Give a case for each alternative that can be met while all else holds, at most `limit`.

    `fires` is what the search expects; whoever needs to be sure asks a detector. A rule that was not made to fire
    gives none.
    """
    if proof.status != "fires" or proof.rule.plan is None:
        return
    scene = Scene(proof.rule, proof.rule.plan)
    solver = Solver(scene.types)
    budget = Budget(steps=100_000, seconds=limit_seconds)
    base = scene.together({draft.stage: draft.fields for draft in proof.events})
    count = 0
    for part in scene.parts:
        others = [other.goal for other in scene.parts if other is not part]
        broken = Goal(part.goal.condition, not part.goal.wanted)
        for fires, goal in ((True, part.goal), (False, broken)):
            for way in alternatives(goal):
                if count >= limit or not budget.spend():
                    return
                outcome = solver.solve([*others, goal, way], prefer=base, budget=replace(budget, steps=200))
                if isinstance(outcome, Solved):
                    count += 1
                    events = apply_values(scene, proof.events, part.stage, outcome.values, every_copy=fires)
                    yield Variant(fires, part.stage, shown_bare(way), events)


def with_variants(proof: Proof, *, limit_seconds: float = 10.0) -> Proof:
    """Give the proof with a case for each alternative, each judged by the reference.

    Alternatives that do not do what the query says of them become notes of the proof: mostly they ask for events that
    the rule's index patterns leave out.
    """
    right: list[Variant] = []
    notes: list[str] = []
    for variant in variants(proof, limit_seconds=limit_seconds):
        if bool(matches([proof.rule], proof.lines(variant.events))) is variant.fires:
            right.append(variant)
        elif variant.fires:
            elsewhere = replace(proof.rule, index=())
            patterns = bool(matches([elsewhere], proof.lines(variant.events)))
            why = "the rule's index patterns leave such events out" if patterns else "another stage takes its event"
            notes.append(f"never fires because of {variant.text}: {why}")
        else:
            notes.append(f"fires although one event has {variant.text}: another event takes its place")
    return replace(proof, variants=tuple(right), notes=(*proof.notes, *notes))


def alternatives(goal: Goal) -> Iterator[Goal]:
    """Give each of the several ways in which a goal can be met; nothing where there is only one."""
    condition, wanted = goal.condition, goal.wanted
    match condition:
        case plan.Not(item=item):
            yield from alternatives(Goal(item, not wanted))
        case plan.And(items=items) | plan.Or(items=items):
            for item in items:
                if isinstance(condition, plan.Or) is wanted:
                    yield Goal(item, wanted)
                yield from alternatives(Goal(item, wanted))
        case plan.In(values=values) if wanted and len(values) > 1:
            for value in values:
                yield Goal(replace(condition, values=(value,)))
        case plan.Like(patterns=patterns) | plan.Regex(patterns=patterns) if wanted and len(patterns) > 1:
            for pattern in patterns:
                yield Goal(replace(condition, patterns=(pattern,)))
        case plan.Call(function="cidrMatch", args=(address, *blocks)) if wanted and len(blocks) > 1:
            for block in blocks:
                yield Goal(replace(condition, args=(address, block)))
        case _:
            pass
