"""A rule becomes its proof: events that make it fire, and near misses that do not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from maxspan.languages import plan
from maxspan.languages.constraints import pass_on
from maxspan.prover.dressing import dress
from maxspan.prover.events import START_NS, Draft, gap_ns
from maxspan.prover.goals import Goal, renamed
from maxspan.prover.judge import matches
from maxspan.prover.near_misses import NearMisses
from maxspan.prover.proof import Proof
from maxspan.prover.samples import bare_name
from maxspan.prover.scene import Scene, shown_bare
from maxspan.prover.solve import Assignment, Budget, Solved, Solver, Unsolved
from maxspan.rules.model import Rule

#: how long one rule may take, unless told otherwise
LIMIT_SECONDS: Final = 10.0


def prove(rule: Rule, *, limit_seconds: float = LIMIT_SECONDS, near_misses: bool = True) -> Proof:
    """Try to make a runnable rule fire, and to find what only just does not make it fire.

    The judge is the reference detector over the finished lines of JSON, index patterns and all. Raises ValueError for
    a rule without a plan.
    """
    if rule.plan is None:
        raise ValueError(f"rule {rule.id} has no plan")
    started = time.monotonic()
    proof = _Prover(rule, rule.plan, limit_seconds).proof(near_misses)
    return replace(proof, seconds=time.monotonic() - started)


class _Prover:
    def __init__(self, rule: Rule, query: plan.Query, limit_seconds: float) -> None:
        self.rule = rule
        joined = pass_on(query) if isinstance(query, plan.SequenceQuery) else query
        self.query = query
        self.firing = Scene(rule, joined)
        self.scene = Scene(rule, query)
        self.solver = Solver(self.firing.types)
        self.until = time.monotonic() + limit_seconds

    def budget(self) -> Budget:
        return Budget(seconds=max(0.0, self.until - time.monotonic()))

    def proof(self, near_misses: bool) -> Proof:
        goals = [part.goal for part in self.firing.parts]
        outcome = self.solver.solve(goals, budget=self.budget())
        if isinstance(outcome, Unsolved):
            return self._unproved(outcome, self._passed_on())
        drafts = self._drafts(outcome.values)
        if found := self._fires(drafts):
            return self._proved(drafts, found, outcome, near_misses)
        for more in (self._not_ending(), self._not_each_other()):
            apart = self.solver.solve([*goals, *more], budget=self.budget()) if more else outcome
            if isinstance(apart, Solved) and apart is not outcome:
                others = self._drafts(apart.values)
                if found := self._fires(others):
                    return self._proved(others, found, apart, near_misses)
        return Proof(self.rule, "not proved", self._why_silent(drafts))

    # --- firing ------------------------------------------------------------------------------------------------------

    def _drafts(self, values: Assignment) -> tuple[Draft, ...]:
        """Put the events of all stages on a line of time."""
        dressed = [self._dressed(number, values) for number in range(len(self.scene.stages))]
        order = self.scene.order()
        gap = gap_ns(self.query, len(order))
        return tuple(Draft(stage, dressed[stage], START_NS + at * gap) for at, stage in enumerate(order))

    def _dressed(self, number: int, values: Assignment) -> Assignment:
        own = self.firing.of_stage(number, values)
        stages = plan.all_stages(self.query)
        conditions = [self.scene.whole_condition(stage) for stage in stages]
        before = [self.solver.evaluator.holds(condition, own) for condition in conditions]
        joined = {field.name for stage in stages for field in self.scene.keys(stage)}

        def unchanged(wider: Assignment) -> bool:
            if any(name in joined and name not in own for name in wider):
                return False
            return [self.solver.evaluator.holds(condition, wider) for condition in conditions] == before

        return dress(own, self.scene.stages[number].category, self.rule.index, unchanged)

    def _fires(self, drafts: Sequence[Draft]) -> int:
        return len(matches([self.rule], Proof(self.rule, "fires").lines(drafts)))

    def _proved(self, drafts: tuple[Draft, ...], found: int, outcome: Solved, near_misses: bool) -> Proof:
        notes = [
            f"fires only when {bare_name(name)} holds several values: {', '.join(map(repr, outcome.values[name]))}"
            for name in outcome.several
        ]
        proof = Proof(self.rule, "fires", events=drafts, matches=found, notes=tuple(notes))
        if not near_misses:
            return proof
        misses = NearMisses(self.scene, self.solver, drafts, self._fires, self.budget)
        return misses.complete(proof)

    # --- not firing --------------------------------------------------------------------------------------------------

    def _not_ending(self) -> tuple[Goal, ...]:
        """Ask that no stage's event is one that `until` or a missing stage looks for."""
        ends = [*([self.scene.until] if self.scene.until else []), *self.scene.absent]
        return tuple(self._not_so(end, at) for end in ends for at in range(len(self.scene.stages)))

    def _not_each_other(self) -> tuple[Goal, ...]:
        """Ask that no stage's event fits another stage as well."""
        return self._not_ending() + tuple(
            self._not_so(other, at)
            for at in range(len(self.scene.stages))
            for number, other in enumerate(self.scene.stages)
            if number != at and other.where != self.scene.stages[at].where
        )

    def _not_so(self, stage: plan.Stage, at: int) -> Goal:
        return Goal(renamed(self.scene.whole_condition(stage), lambda field: self.firing.name(at, field)), False)

    def _passed_on(self) -> tuple[str, ...]:
        """Note where a sequence cannot fire only because conditions on join keys hold for all of its stages."""
        if self.firing.query == self.query:
            return ()
        alone = self.solver.solve([part.goal for part in self.scene.parts], budget=self.budget())
        if isinstance(alone, Unsolved):
            return ()
        return (
            "every stage can be met on its own; a condition on a join key, without `or`, is passed on to the other "
            "stages, and there it is what excludes. With an `or` in it, or on another field, it stays where it is",
        )

    def _unproved(self, outcome: Unsolved, notes: tuple[str, ...]) -> Proof:
        plainly = " | ".join(shown_bare(Goal(goal.condition())) for goal in outcome.conflict.goals)
        if outcome.certain:
            return Proof(self.rule, "impossible", f"these exclude each other: {plainly}", notes=notes)
        if not plainly:
            return Proof(self.rule, "not proved", "the search reached its limit of steps or time", notes=notes)
        return Proof(self.rule, "not proved", f"no values were found for: {plainly}", notes=notes)

    def _why_silent(self, drafts: Sequence[Draft]) -> str:
        pipes = () if isinstance(self.query, plan.SampleQuery) else self.query.pipes
        if any(pipe.count == 0 for pipe in pipes):
            return "a pipe that keeps 0 matches keeps none"
        everywhere = replace(self.rule, index=())
        if matches([everywhere], Proof(everywhere, "fires").lines(drafts)):
            return "the events that the query asks for are not kept where the rule's index patterns look"
        return "every stage can be met, but the events found for them do not fire together"
