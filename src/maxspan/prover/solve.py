"""An event that fulfils a condition: a search over the tree, with the evaluator as the judge.

Leaves that must be so are collected per field, and each field gets values that fit them; then leaves over several
fields are repaired one by one; then choices (`or`, `not (a and b)`) that happen not to be fulfilled are decided by
trying one alternative after the other. Choices that the values already fulfil are left alone, so that most conditions
need no search at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from maxspan.engine.reference.condition import Evaluator
from maxspan.languages import plan
from maxspan.prover.field_values import Conflict, FieldSolver
from maxspan.prover.goals import Goal, LeafGoal, names_in
from maxspan.prover.inversion import Inversion, Proposal, Values
from maxspan.prover.samples import Scalar, is_list_field

Assignment: TypeAlias = dict[str, list[Scalar]]


@dataclass(frozen=True, slots=True)
class Solved:
    """Values for the fields of a condition; a field that needs none to be there has an empty list.

    `several` names fields that needed more than one value although events usually hold one there.
    """

    values: Assignment
    several: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unsolved:
    """No event was found. With `certain` there is none: `conflict` shows goals that exclude each other."""

    conflict: Conflict
    certain: bool


@dataclass(slots=True)
class Budget:
    """How much a search may cost: `steps` decisions, and `seconds` on the clock (`time.monotonic`)."""

    steps: int = 2000
    seconds: float = 10.0
    _until: float = field(default=0.0)

    def spend(self) -> bool:
        """Take one step; false when the budget is used up."""
        if not self._until:
            self._until = time.monotonic() + self.seconds
        self.steps -= 1
        return self.steps >= 0 and time.monotonic() < self._until


_REPAIRS: Final = 3000
_ROUNDS: Final = 12


class Solver:
    """Finds events for conditions. `types` are field types as the evaluator takes them."""

    def __init__(self, types: Mapping[str, str] | None = None, *, seconds: bool = True) -> None:
        self.evaluator = Evaluator(types, seconds=seconds)
        self.inversion = Inversion(self.evaluator.value)
        self.fields = {
            several: FieldSolver(self.evaluator, self.inversion, several=several) for several in (False, True)
        }

    def solve(
        self, goals: Sequence[Goal], *, prefer: Values | None = None, budget: Budget | None = None
    ) -> Solved | Unsolved:
        """Give values that meet all goals, as near to `prefer` as is easily found.

        First with single values in fields that usually hold one; only when that fails, with several.
        """
        budget = budget or Budget()
        first = _Search(self, False, prefer or {}, budget).run(goals)
        if isinstance(first, Solved) or not budget.spend():
            return first
        second = _Search(self, True, prefer or {}, budget).run(goals)
        if isinstance(second, Unsolved):
            return second
        odd = tuple(name for name, values in second.values.items() if len(values) > 1 and not is_list_field(name))
        return Solved(second.values, odd)


@dataclass(slots=True)
class _State:
    """What has been decided on one branch of the search."""

    goals: dict[str, tuple[LeafGoal, ...]] = field(default_factory=dict)
    crossing: tuple[LeafGoal, ...] = ()
    choices: tuple[tuple[Goal, ...], ...] = ()
    values: Assignment = field(default_factory=dict)

    def copy(self) -> _State:
        return _State(dict(self.goals), self.crossing, self.choices, dict(self.values))


class _Search:
    def __init__(self, solver: Solver, several: bool, prefer: Values, budget: Budget) -> None:
        self.evaluator = solver.evaluator
        self.inversion = solver.inversion
        self.fields = solver.fields[several]
        self.prefer = prefer
        self.budget = budget
        self.certain = True

    def run(self, goals: Sequence[Goal]) -> Solved | Unsolved:
        found = self._decide(_State(values={name: list(to) for name, to in self.prefer.items()}), goals)
        if isinstance(found, Conflict):
            return Unsolved(found, self.certain and found.certain)
        if all(self.evaluator.holds(goal.condition, found.values) is goal.wanted for goal in goals):
            return Solved(found.values)
        return Unsolved(Conflict((), False), False)

    def _decide(self, state: _State, goals: Sequence[Goal]) -> _State | Conflict:
        """Add goals to a branch and follow it to its end."""
        if not self.budget.spend():
            self.certain = False
            return Conflict((), False)
        conflict = self._add(state, goals) or self._repair(state)
        if conflict is not None:
            self.certain = self.certain and conflict.certain
            return conflict
        choice = next((one for one in state.choices if not self._fulfilled(one, state.values)), None)
        if choice is None:
            return state
        state.choices = tuple(one for one in state.choices if one is not choice)
        last: Conflict | None = None
        for alternative in choice:
            outcome = self._decide(state.copy(), [alternative])
            if isinstance(outcome, _State):
                return outcome
            last = outcome
            if self.budget.steps < 0:
                break
        return last or Conflict((), True)

    def _fulfilled(self, choice: Sequence[Goal], values: Values) -> bool:
        return any(self.evaluator.holds(goal.condition, values) is goal.wanted for goal in choice)

    # --- goals of single fields --------------------------------------------------------------------------------------

    def _add(self, state: _State, goals: Sequence[Goal]) -> Conflict | None:
        touched: dict[str, None] = {}
        for goal in _leaves(state, goals):
            names = names_in(goal.leaf)
            opposite = LeafGoal(goal.leaf, not goal.wanted)
            if not names:
                if self.evaluator.leaf(goal.leaf, {}) is not goal.wanted:
                    return Conflict((goal,), True)
            elif len(names) > 1:
                if opposite in state.crossing:
                    return Conflict((opposite, goal), True)
                if goal not in state.crossing:
                    state.crossing = (*state.crossing, goal)
                for name in names:
                    touched.setdefault(name)
            else:
                known = state.goals.get(names[0], ())
                if opposite in known:
                    return Conflict((opposite, goal), True, names[0])
                if goal not in known:
                    state.goals[names[0]] = (*known, goal)
                touched.setdefault(names[0])
        for name in touched:
            prefer = state.values.get(name)
            if prefer is None and name not in state.goals:
                prefer = []
            found = self.fields.solve(name, state.goals.get(name, ()), prefer)
            if isinstance(found, Conflict):
                return found
            state.values[name] = found
        return None

    # --- goals of several fields -------------------------------------------------------------------------------------

    def _repair(self, state: _State) -> Conflict | None:
        """Change fields until all leaves over several fields are as wanted, or give up."""
        for _ in range(_ROUNDS if state.crossing else 0):
            broken = [goal for goal in state.crossing if not self._met(goal, state.values)]
            if not broken:
                return None
            better = self._better(state, broken)
            if better is None:
                return Conflict(tuple(broken), False)
            state.values.update(better)
        left = [goal for goal in state.crossing if not self._met(goal, state.values)]
        return Conflict(tuple(left), False) if left else None

    def _met(self, goal: LeafGoal, values: Values) -> bool:
        return self.evaluator.leaf(goal.leaf, values) is goal.wanted

    def _better(self, state: _State, broken: Sequence[LeafGoal]) -> Assignment | None:
        """Give new values with fewer leaves broken, or at least the first of them met."""
        fallback: Assignment | None = None
        for count, proposal in enumerate(self._repairs(state, broken[0])):
            if count >= _REPAIRS:
                break
            changed: Assignment = {name: [value] for name, value in proposal.items()}
            if not all(self.fields.holds(name, state.goals.get(name, ()), to) for name, to in changed.items()):
                continue
            values = {**state.values, **changed}
            if not self._met(broken[0], values):
                continue
            still = sum(not self._met(goal, values) for goal in state.crossing)
            if still < len(broken):
                return changed
            fallback = fallback or changed
        return fallback

    def _repairs(self, state: _State, goal: LeafGoal) -> Iterator[Proposal]:
        """Propose values for the fields of a leaf: from the wanted result, and others that the fields may have."""
        yield from self.inversion.for_leaf(goal.leaf, goal.wanted, state.values)
        for name in names_in(goal.leaf):
            for own in state.goals.get(name, ()):
                for proposal in self.inversion.for_leaf(own.leaf, own.wanted, state.values):
                    if name not in proposal:
                        continue
                    yield proposal
                    moved = {**state.values, name: [proposal[name]]}
                    for further in self.inversion.for_leaf(goal.leaf, goal.wanted, moved):
                        yield {**proposal, **further}


def _leaves(state: _State, goals: Sequence[Goal]) -> Iterator[LeafGoal]:
    """Take goals apart; choices are added to the state."""
    pending = list(reversed(goals))
    while pending:
        goal = pending.pop()
        match goal.condition:
            case plan.Not(item=item):
                pending.append(Goal(item, not goal.wanted))
            case plan.And(items=items) if goal.wanted:
                pending.extend(Goal(item, True) for item in reversed(items))
            case plan.Or(items=items) if not goal.wanted:
                pending.extend(Goal(item, False) for item in reversed(items))
            case plan.And(items=items) | plan.Or(items=items):
                state.choices = (*state.choices, tuple(Goal(item, goal.wanted) for item in items))
            case leaf:
                yield LeafGoal.of(leaf, goal.wanted)
