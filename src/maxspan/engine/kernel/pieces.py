"""A stage's condition as pieces: conjunctions of conditions that look at one field each.

An event fulfils a piece when each field's value fulfils the piece's conditions on that field, so that what a value
rules out can be remembered for the value alone. The logic above leaves is two-valued: De Morgan's rules hold.
What does not split that way is the rest of a piece, to be judged on the events that the piece lets through.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from maxspan.languages import plan

#: a stage gets at most this many pieces
MOST: Final = 32


@dataclass(frozen=True, slots=True)
class Piece:
    """Conditions by field name, all of which must hold, and in `rest` those that look at several fields."""

    conditions: dict[str, tuple[plan.Condition, ...]] = field(default_factory=dict)
    rest: tuple[plan.Condition, ...] = ()

    def joined(self, other: Piece) -> Piece:
        merged = dict(self.conditions)
        for name, conditions in other.conditions.items():
            merged[name] = tuple(dict.fromkeys((*merged.get(name, ()), *conditions)))
        return Piece(merged, tuple(dict.fromkeys((*self.rest, *other.rest))))


_ANYTHING: Final = Piece()


def pieces_of(stage: plan.Stage, category_field: str, unsplit: frozenset[str]) -> list[Piece]:
    """Split a stage, its category included; none if no event can fulfil it. Leaves on `unsplit` fields stay whole."""
    splitter = _Splitter(unsplit)
    found = splitter.split(canonical(stage.where))
    if stage.category is None:
        return found
    equal = plan.Comparison("==", plan.Field(category_field), plan.Literal(stage.category))
    return [piece.joined(Piece({category_field: (equal,)})) for piece in found]


def canonical(node: plan.Condition) -> plan.Condition:
    """Write a condition with leaves that hold for a list when they do for one value: no `!=`, no `== null`."""
    match node:
        case plan.And(items=items) | plan.Or(items=items):
            return type(node)(tuple(map(canonical, items)))
        case plan.Not(item=item):
            inner = canonical(item)
            return inner.item if isinstance(inner, plan.Not) else plan.Not(inner)
        case plan.IsNull(operand=plan.Field() as operand, negated=negated):
            exists = plan.IsNull(operand, True)
            return exists if negated else plan.Not(exists)
        case plan.Comparison(op="!=", left=plan.Field() as left, right=plan.Literal() as right):
            return plan.Not(plan.Comparison("==", left, right))
        case _:
            return node


class _Splitter:
    def __init__(self, unsplit: frozenset[str]) -> None:
        self.unsplit = unsplit

    def split(self, node: plan.Condition) -> list[Piece]:
        name = single_field(node, self.unsplit)
        if name:
            return [Piece({name: (node,)})]
        match node:
            case plan.Literal(value=value):
                return [_ANYTHING] if value is True else []
            case plan.And(items=items):
                return self._all(items)
            case plan.Or(items=items):
                return self._any(items)
            case plan.Not(item=plan.And(items=items)):
                return self._any(tuple(map(_negated, items)))
            case plan.Not(item=plan.Or(items=items)):
                return self._all(tuple(map(_negated, items)))
            case plan.Not(item=plan.Literal(value=value)):
                return [] if value is True else [_ANYTHING]
            case _:
                return [Piece(rest=(node,))]

    def _any(self, items: tuple[plan.Condition, ...]) -> list[Piece]:
        found = [piece for item in items for piece in self.split(item)]
        return found if len(found) <= MOST else [_projected(found, plan.Or(items))]

    def _all(self, items: tuple[plan.Condition, ...]) -> list[Piece]:
        out = [_ANYTHING]
        for found, item in sorted(((self.split(item), item) for item in items), key=lambda pair: len(pair[0])):
            if not found:
                return []
            if len(out) * len(found) > MOST:
                found = [_projected(found, item)]
            out = [one.joined(other) for one in out for other in found]
        return out


def single_field(node: plan.Condition, unsplit: frozenset[str]) -> str:
    """Give the one field that a condition looks at, if each leaf reads it exactly once; else an empty string."""
    names: set[str] = set()
    for leaf in plan.leaves(node):
        read = [found.name for found in plan.fields(leaf)]
        if len(read) != 1:
            return ""
        names.update(read)
    return names.pop() if len(names) == 1 and not names & unsplit else ""


def _projected(pieces: list[Piece], whole: plan.Condition) -> Piece:
    """Put alternatives into one piece: what every one of them demands of a field, one of these must hold."""
    common = set(pieces[0].conditions).intersection(*(piece.conditions for piece in pieces[1:]))
    conditions: dict[str, tuple[plan.Condition, ...]] = {}
    for name in sorted(common):
        demands = list(dict.fromkeys(_conjunction(piece.conditions[name]) for piece in pieces))
        conditions[name] = (demands[0] if len(demands) == 1 else plan.Or(tuple(demands)),)
    return Piece(conditions, (whole,))


def _conjunction(conditions: tuple[plan.Condition, ...]) -> plan.Condition:
    return conditions[0] if len(conditions) == 1 else plan.And(conditions)


def _negated(item: plan.Condition) -> plan.Condition:
    return item.item if isinstance(item, plan.Not) else plan.Not(item)
