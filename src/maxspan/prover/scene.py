"""A query as one condition: all stages side by side, with shared join keys as shared fields.

Stage 0's `process.name` becomes `0/process.name`; the fields that are joined become one field, `key0/host.id`. What
solves that condition solves the query, and takes apart into one set of fields per stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from maxspan.engine.reference.condition import UNTYPED
from maxspan.languages import plan
from maxspan.languages.eql.printer import field_name, format_expression
from maxspan.prover.goals import Goal, conjuncts, renamed
from maxspan.prover.samples import Scalar, bare_name
from maxspan.prover.solve import Assignment
from maxspan.rules.model import Rule


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a stage asks for, as the query says it (`text`) and as a goal of the whole scene.

    `kind` is `category`, `condition` or `key` (that the key is there).
    """

    stage: int
    kind: Literal["category", "condition", "key"]
    text: str
    goal: Goal


@dataclass(frozen=True, slots=True)
class Joined:
    """One set of joined fields: their common name, and the field of each stage that takes part."""

    name: str
    fields: Mapping[int, str]
    optional: bool


class Scene:
    """The stages of a rule's query that need an event, and the names that their fields have together."""

    def __init__(self, rule: Rule, query: plan.Query) -> None:
        self.rule = rule
        self.query = query
        self.stages = tuple(stage for stage in query.stages if not stage.missing)
        self.absent = tuple(stage for stage in query.stages if stage.missing)
        self.until = query.until if isinstance(query, plan.SequenceQuery) else None
        self.joined = tuple(_joined(query, self.stages))
        self._names = {(stage, field): joined.name for joined in self.joined for stage, field in joined.fields.items()}
        self.parts = tuple(part for number in range(len(self.stages)) for part in self._parts(number))

    @property
    def types(self) -> dict[str, str]:
        """Give the types of fields under their names in the scene and on their own."""
        timestamp = self.rule.timestamp_field
        names = [timestamp, *(self.name(number, timestamp) for number in range(len(self.stages)))]
        return {**UNTYPED, **dict.fromkeys(names, "date_nanos")}

    def name(self, stage: int, field: str) -> str:
        """Give the name that a stage's field has in the scene."""
        return self._names.get((stage, field), f"{stage}/{field}")

    def keys(self, stage: plan.Stage) -> tuple[plan.Field, ...]:
        return () if isinstance(self.query, plan.EventQuery) else self.query.keys(stage)

    def order(self) -> list[int]:
        """Give the stage of each event, in the order of the query, `with runs` written out."""
        return [number for number, stage in enumerate(self.stages) for _ in range(stage.runs)]

    def category_condition(self, stage: plan.Stage) -> plan.Condition | None:
        """Give the test of the event category as a condition; `None` for `any`."""
        if stage.category is None:
            return None
        return plan.Comparison("==", plan.Field(self.rule.category_field), plan.Literal(stage.category))

    def whole_condition(self, stage: plan.Stage) -> plan.Condition:
        """Give category and condition of a stage in one, over the event's own fields."""
        category = self.category_condition(stage)
        return stage.where if category is None else plan.And((category, stage.where))

    def _parts(self, number: int) -> Iterable[Part]:
        stage = self.stages[number]
        category = self.category_condition(stage)
        found: list[tuple[Literal["category", "condition", "key"], Goal]] = []
        found += [("category", goal) for goal in (conjuncts(category) if category is not None else ())]
        found += [("condition", goal) for goal in dict.fromkeys(conjuncts(stage.where))]
        for key in self.keys(stage):
            if not key.optional:
                found.append(("key", Goal(plan.IsNull(replace(key), negated=True))))
        for kind, goal in found:
            shared = renamed(goal.condition, lambda field: self.name(number, field))
            yield Part(number, kind, shown(goal), Goal(shared, goal.wanted))

    # --- from the scene to events and back ---------------------------------------------------------------------------

    def of_stage(self, stage: int, values: Assignment) -> Assignment:
        """Give the values of a stage's own fields out of those of the scene."""
        own = {name: list(to) for name, to in _under(values, f"{stage}/")}
        for joined in self.joined:
            field = joined.fields.get(stage)
            if field is not None and joined.name in values:
                own[field] = list(values[joined.name])
        return own

    def together(self, events: Mapping[int, Mapping[str, Sequence[Scalar]]]) -> Assignment:
        """Give the values of the scene out of one event per stage."""
        return {
            self.name(stage, field): list(values)
            for stage, fields in events.items()
            for field, values in fields.items()
        }


def shown(goal: Goal) -> str:
    """Write a goal as the query would."""
    return format_expression(goal.condition if goal.wanted else plan.Not(goal.condition))


def shown_bare(goal: Goal) -> str:
    """Write a goal of a scene as the query would, without the prefixes of its fields."""
    return shown(Goal(renamed(goal.condition, bare_name), goal.wanted))


def _under(values: Assignment, prefix: str) -> Iterable[tuple[str, list[Scalar]]]:
    return ((name.removeprefix(prefix), to) for name, to in values.items() if name.startswith(prefix))


def _joined(query: plan.Query, stages: Sequence[plan.Stage]) -> Iterable[Joined]:
    """Bring together the fields that stand at one place of the key lists; a field at two places joins both."""
    if isinstance(query, plan.EventQuery):
        return
    sets: list[tuple[set[tuple[int, str]], bool]] = []
    for place in zip(*(query.keys(stage) for stage in stages), strict=True):
        members = {(number, field.name) for number, field in enumerate(place)}
        optional = all(field.optional for field in place)
        for other in [one for one in sets if one[0] & members]:
            sets.remove(other)
            members |= other[0]
            optional = optional and other[1]
        sets.append((members, optional))
    for number, (members, optional) in enumerate(sets):
        named = min(members)[1]
        yield Joined(f"key{number}/{named}", dict(sorted(members)), optional)


def key_text(joined: Joined) -> str:
    """Write a joined key as the query would."""
    return " = ".join(dict.fromkeys(field_name(plan.Field(field)) for field in joined.fields.values()))
