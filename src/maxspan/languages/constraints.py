"""Conditions on join keys hold for every stage of a sequence: they are passed on, with the key renamed.

What is joined by `and` to a stage, has no `or` in it and speaks of one of the stage's keys, is added to all other
stages with the key of their own at the same place. It changes nothing where a key has one value, for then the stages
share it; where it is a list, the events of the other stages must fulfil the condition as well.
Source: section 3 of the semantics document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

from maxspan.languages import plan


@dataclass(frozen=True, slots=True)
class Constraint:
    """A condition on the key at `place`, found in the stage with the number `origin`."""

    condition: plan.Condition
    field: str
    place: int
    origin: int


def pass_on(query: plan.SequenceQuery) -> plan.SequenceQuery:
    """Add to every stage what the others demand of their keys. Missing stages and `until` neither give nor take."""
    found = [
        constraint
        for number, stage in enumerate(query.stages)
        if not stage.missing
        for constraint in _constraints(query, stage, number)
    ]
    if not found:
        return query
    stages = tuple(
        stage if stage.missing else _with(query, stage, number, found) for number, stage in enumerate(query.stages)
    )
    return replace(query, stages=stages)


def _constraints(query: plan.SequenceQuery, stage: plan.Stage, number: int) -> Iterator[Constraint]:
    names = [field.name for field in query.keys(stage)]
    items = stage.where.items if isinstance(stage.where, plan.And) else (stage.where,)
    for item in items:
        if any(isinstance(node, plan.Or) for node in plan.walk(item)):
            continue
        name = next((field.name for field in plan.fields(item) if field.name in names), None)
        if name is not None:
            yield Constraint(item, name, names.index(name), number)


def _with(query: plan.SequenceQuery, stage: plan.Stage, number: int, found: list[Constraint]) -> plan.Stage:
    keys = query.keys(stage)
    own = stage.where.items if isinstance(stage.where, plan.And) else (stage.where,)
    items = [item for item in own if item != plan.TRUE]
    for constraint in found:
        if constraint.origin == number:
            continue
        condition = _renamed(constraint.condition, constraint.field, keys[constraint.place])
        if condition not in items:
            items.append(condition)
    if len(items) < 2:
        return replace(stage, where=items[0] if items else plan.TRUE)
    return replace(stage, where=plan.And(tuple(items), stage.where.span))


def _renamed(node: plan.Condition, name: str, key: plan.Field) -> plan.Condition:
    return cast(plan.Condition, _rename(node, name, key))


def _rename(node: plan.Expression, name: str, key: plan.Field) -> plan.Expression:
    match node:
        case plan.Field():
            return replace(key, span=node.span) if node.name == name else node
        case plan.Call(args=args):
            return replace(node, args=tuple(_rename(arg, name, key) for arg in args))
        case plan.Arithmetic(left=left, right=right) | plan.Comparison(left=left, right=right):
            return replace(node, left=_rename(left, name, key), right=_rename(right, name, key))
        case (
            plan.Negate(operand=operand)
            | plan.IsNull(operand=operand)
            | plan.Like(operand=operand)
            | plan.Regex(operand=operand)
            | plan.In(operand=operand)
        ):
            return replace(node, operand=_rename(operand, name, key))
        case plan.Not(item=item):
            return replace(node, item=_renamed(item, name, key))
        case plan.And(items=items):
            return replace(node, items=tuple(_renamed(item, name, key) for item in items))
        case _:
            return node
