"""The values of one field, so that all leaves over it are as wanted.

Candidates are tried out with the evaluator: values proposed for each leaf, their concatenations, and for what is
regular the shortest string that fits all of them. Where nothing fits and everything was tried, that is certain.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from maxspan.engine.reference.condition import Evaluator
from maxspan.languages import plan
from maxspan.languages.eql.values import is_number
from maxspan.prover.goals import LeafGoal, automaton, is_simple
from maxspan.prover.inversion import Inversion
from maxspan.prover.language import TooLarge, find_word
from maxspan.prover.samples import Scalar, changes, is_list_field, samples
from maxspan.prover.targets import addresses_in

_CANDIDATES: Final = 4000


@dataclass(frozen=True, slots=True)
class Conflict:
    """Goals that cannot be met together. `certain` when that is proved, else nothing was found within the limits."""

    goals: tuple[LeafGoal, ...]
    certain: bool
    field: str = ""


class FieldSolver:
    """Finds values for single fields. With `several`, any may have several values, else only the usual list fields."""

    def __init__(self, evaluator: Evaluator, inversion: Inversion, *, several: bool) -> None:
        self.evaluator = evaluator
        self.inversion = inversion
        self.several = several
        self._words: dict[tuple[LeafGoal, ...], tuple[str | None, bool]] = {}

    def holds(self, name: str, goals: Sequence[LeafGoal], values: Sequence[Scalar]) -> bool:
        """Whether all goals are met by a field with these values."""
        fields = {name: values}
        return all(self.evaluator.leaf(goal.leaf, fields) is goal.wanted for goal in goals)

    def solve(
        self, name: str, goals: Sequence[LeafGoal], prefer: Sequence[Scalar] | None = None
    ) -> list[Scalar] | Conflict:
        """Give values (none at all is an answer too), as near to `prefer` as is easily found."""
        if prefer is not None and self.holds(name, goals, prefer):
            return list(prefer)
        many = self.several or is_list_field(name)
        if prefer:
            near = self._near(name, goals, prefer, many)
            if near is not None:
                return near
        if self.holds(name, goals, []):
            return []
        for value in itertools.islice(self._candidates(name, goals), _CANDIDATES):
            if self.holds(name, goals, [value]):
                return [value]
        word, certain = self._word(name, goals)
        if word is not None:
            return [word]
        if many:
            return self._cover(name, goals, prefer or ())
        return Conflict(tuple(goals), certain and self._numbers_tried(goals), name)

    # --- near to what was there --------------------------------------------------------------------------------------

    def _near(self, name: str, goals: Sequence[LeafGoal], prefer: Sequence[Scalar], many: bool) -> list[Scalar] | None:
        """Change one value, or in a list those that stand in the way, or add one that is asked for."""
        lacking = [goal for goal in goals if not self.holds(name, [goal], prefer)]
        if len(prefer) == 1:
            for value in self._replacements(name, lacking, prefer[0]):
                if self.holds(name, goals, [value]):
                    return [value]
        if not many:
            return None
        forbidding = [goal for goal in goals if not goal.wanted]
        kept: list[Scalar] = []
        for value in prefer:
            if self.holds(name, forbidding, [value]):
                kept.append(value)
                continue
            other = next((one for one in changes(name, value) if self.holds(name, forbidding, [one])), None)
            if other is not None:
                kept.append(other)
        return self._with_lacking(name, goals, kept)

    def _replacements(self, name: str, lacking: Sequence[LeafGoal], value: Scalar) -> Iterator[Scalar]:
        if any(goal.wanted and not goal.absence for goal in lacking):
            yield from self._candidates(name, lacking)
        else:
            yield from changes(name, value)

    def _with_lacking(self, name: str, goals: Sequence[LeafGoal], kept: list[Scalar]) -> list[Scalar] | None:
        """Add a value for every goal that is not met yet."""
        limits = [goal for goal in goals if not goal.wanted or goal.absence]
        for goal in goals:
            if self.holds(name, [goal], kept):
                continue
            alone = [goal, *limits]
            found = next((v for v in self._candidates(name, alone) if self.holds(name, alone, [v])), None)
            if found is None:
                found, _ = self._word(name, alone)
            if found is None:
                return None
            kept = [*kept, found]
        return kept if self.holds(name, goals, kept) else None

    def _cover(self, name: str, goals: Sequence[LeafGoal], prefer: Sequence[Scalar]) -> list[Scalar] | Conflict:
        """Give several values: each goal is met by one of them, and none does what is forbidden."""
        found = self._with_lacking(name, goals, [])
        if found is not None:
            return found
        limits = [goal for goal in goals if not goal.wanted or goal.absence]
        for goal in goals:
            alone = [goal, *(limit for limit in limits if limit is not goal)]
            if any(self.holds(name, alone, [value]) for value in self._candidates(name, alone)):
                continue
            word, certain = self._word(name, alone)
            if word is None and not self.holds(name, alone, []):
                return Conflict(tuple(alone), certain and self._numbers_tried(alone), name)
        return Conflict(tuple(goals), False, name)

    # --- candidates --------------------------------------------------------------------------------------------------

    def _candidates(self, name: str, goals: Sequence[LeafGoal]) -> Iterator[Scalar]:
        wanted = [goal for goal in goals if goal.wanted and not goal.absence]
        for goal in wanted:
            yield from self._proposed(name, goal)
        if len(wanted) > 1:
            yield from self._joined(name, wanted)
        yield from samples(name)
        for goal in goals:
            if not goal.wanted:
                yield from self._proposed(name, goal)
            yield from _around(goal.leaf)
        yield from (True, False)

    def _proposed(self, name: str, goal: LeafGoal) -> Iterator[Scalar]:
        for proposal in self.inversion.for_leaf(goal.leaf, goal.wanted, {}):
            if name in proposal:
                yield proposal[name]

    def _joined(self, name: str, goals: Sequence[LeafGoal]) -> Iterator[Scalar]:
        """Write strings that fit one goal each one after the other."""
        firsts: list[list[str]] = []
        for goal in goals:
            fitting = (v for v in self._proposed(name, goal) if isinstance(v, str) and self.holds(name, [goal], [v]))
            firsts.append(list(itertools.islice(fitting, 8)))
        for turn in range(8):
            texts = [options[turn % len(options)] for options in firsts if options]
            for glue in (" ", ""):
                yield glue.join(texts)
                yield glue.join(reversed(texts))

    def _word(self, name: str, goals: Sequence[LeafGoal]) -> tuple[str | None, bool]:
        """Give a string by the product of automata, and whether its absence is certain for all strings."""
        key = tuple(goals)
        if key not in self._words:
            self._words[key] = self._searched(name, goals)
        return self._words[key]

    def _searched(self, name: str, goals: Sequence[LeafGoal]) -> tuple[str | None, bool]:
        regular = [goal for goal in goals if automaton(goal.leaf) is not None]
        rest = [goal for goal in goals if automaton(goal.leaf) is None]
        inside = [goal for goal in regular if goal.wanted]
        machines = [[automaton(goal.leaf) for goal in regular if goal.wanted is side] for side in (True, False)]
        try:
            found = find_word(*([machine for machine in side if machine is not None] for side in machines))
        except TooLarge:
            return None, False
        if found is None:
            return None, True
        if self.holds(name, goals, [found]):
            return found, True
        finite = all(isinstance(goal.leaf, plan.Comparison | plan.In) for goal in inside) and bool(inside)
        addresses = all(_is_cidr(goal.leaf) for goal in rest) and all(
            isinstance(goal.leaf, plan.Comparison | plan.In | plan.IsNull) for goal in regular
        )
        insensitive = any(isinstance(goal.leaf, plan.In) and goal.leaf.insensitive for goal in inside)
        return None, (finite and not insensitive) or addresses

    def _numbers_tried(self, goals: Sequence[LeafGoal]) -> bool:
        """Whether the candidates stand for all numbers."""
        return all(is_simple(goal.leaf) for goal in goals)


def _is_cidr(leaf: plan.Leaf) -> bool:
    return isinstance(leaf, plan.Call) and leaf.function == "cidrMatch" and is_simple(leaf)


def _around(leaf: plan.Leaf) -> Iterator[Scalar]:
    """Give the values at which a leaf over plain numbers or addresses can change."""
    match leaf:
        case plan.Comparison(right=plan.Literal(value=value)) if is_number(value):
            yield from _grid(value)  # type: ignore[arg-type]
        case plan.In(values=values):
            for literal in values:
                if is_number(literal.value):
                    yield from _grid(literal.value)  # type: ignore[arg-type]
        case plan.Call(function="cidrMatch", args=(_, *blocks)):
            for block in blocks:
                if isinstance(block, plan.Literal) and isinstance(block.value, str):
                    yield from addresses_in(block.value)
        case _:
            pass


def _grid(value: int | float) -> Iterator[int | float]:
    yield from (value, value + 1, value - 1, value + 0.5, value - 0.5)
