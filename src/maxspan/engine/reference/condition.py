"""Whether a condition holds for one event, and what an expression is worth.

The tree of `and`, `or` and `not` is plain two-valued logic over leaves (section 9.1). A leaf over a bare field asks
whether any of its values fulfils it; `!=` whether none is equal. A leaf with functions or arithmetic is a script: it
is computed for every combination of one value per occurrence of a field, null where the field has none, and holds
when any combination gives true (section 9.2).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from maxspan.engine.reference.typed import comparable, compare, script_value
from maxspan.languages import plan
from maxspan.languages.eql.folding import apply, matches

Fields = Mapping[str, Sequence[Any]]

#: without a schema only the timestamp has a type; its nanoseconds are kept
UNTYPED: Final[Mapping[str, str]] = {"@timestamp": "date_nanos"}


class Evaluator:
    """Evaluates conditions over flattened events: dotted name -> list of non-null scalars.

    `types` maps field names to Elasticsearch types; fields that it lacks speak for themselves. With `seconds`, epoch
    numbers may be seconds (see `parse_timestamp_ns`). Nothing is raised, whatever the event holds.
    """

    def __init__(self, types: Mapping[str, str] | None = None, *, seconds: bool = False) -> None:
        self.types = UNTYPED if types is None else types
        self.seconds = seconds

    def holds(self, condition: plan.Condition, fields: Fields) -> bool:
        """Tell whether a condition holds (section 9.1)."""
        match condition:
            case plan.And(items=items):
                return all(self.holds(item, fields) for item in items)
            case plan.Or(items=items):
                return any(self.holds(item, fields) for item in items)
            case plan.Not(item=item):
                return not self.holds(item, fields)
            case _:
                return self.leaf(condition, fields)

    def leaf(self, leaf: plan.Leaf, fields: Fields) -> bool:
        """Tell whether a leaf holds; null counts as false (section 9.1)."""
        match leaf:
            case plan.IsNull(operand=plan.Field() as field, negated=negated):
                return bool(self.values(field, fields)) is negated
            case plan.Comparison(left=plan.Field() as field, right=plan.Literal(value=literal)):
                return self._comparison(leaf, field, literal, fields)
            case plan.In(operand=plan.Field() as field, insensitive=False):
                kind = self.types.get(field.name, "")
                known = self.values(field, fields)
                return any(compare("==", value, item.value, kind) for value in known for item in leaf.values)
            case plan.Like(operand=plan.Field() as field) | plan.Regex(operand=plan.Field() as field):
                return any(matches(leaf, value) for value in self.scripted(field, fields))
            case plan.Call(function="stringContains", args=(plan.Field() as field, plan.Literal(value=""))):
                return any(isinstance(value, str) for value in self.scripted(field, fields))
            case _:
                return any(value is True for value in self.outcomes(leaf, fields))

    def value(self, expression: plan.Expression, fields: Fields) -> plan.Constant:
        """Give the value of an expression: for conditions a boolean, null where a script gives null.

        Of a field with several values the first combination counts.
        """
        match expression:
            case plan.And() | plan.Or() | plan.Not():
                return self.holds(expression, fields)
            case plan.Literal(value=value):
                return value
            case plan.Field() | plan.Call() | plan.Arithmetic() | plan.Negate():
                return next(self.outcomes(expression, fields))
            case _:
                if self.leaf(expression, fields):
                    return True
                return None if all(value is None for value in self.outcomes(expression, fields)) else False

    # --- values ------------------------------------------------------------------------------------------------------

    def values(self, field: plan.Field, fields: Fields) -> list[Any]:
        """Give the values of a field as its type compares them; what is no value of the type is left out."""
        kind = self.types.get(field.name, "")
        raw = fields.get(field.name, ())
        typed = (comparable(value, kind, seconds=self.seconds) for value in raw)
        return [value for value in typed if value is not None]

    def scripted(self, field: plan.Field, fields: Fields) -> list[plan.Constant]:
        """Give the values of a field as functions and patterns see them."""
        kind = self.types.get(field.name, "")
        seen = (script_value(value, kind) for value in fields.get(field.name, ()))
        return [value for value in seen if value is not None]

    def outcomes(self, expression: plan.Expression, fields: Fields) -> Iterator[plan.Constant]:
        """Compute an expression for every combination of one value per occurrence of a field (section 9.2)."""
        choices = [list(dict.fromkeys(_tagged(self.scripted(f, fields)))) or [_NULL] for f in plan.fields(expression)]
        for combination in itertools.product(*choices):
            yield _compute(expression, iter(combination))

    def _comparison(self, leaf: plan.Comparison, field: plan.Field, literal: plan.Constant, fields: Fields) -> bool:
        kind = self.types.get(field.name, "")
        known = self.values(field, fields)
        if leaf.op == "!=":
            return not any(compare("==", value, literal, kind) for value in known)
        return any(compare(leaf.op, value, literal, kind) for value in known)


_Tagged = tuple[type, plan.Constant]
_NULL: Final[_Tagged] = (type(None), None)


def _tagged(values: Sequence[plan.Constant]) -> Iterator[_Tagged]:
    """Keep 1, 1.0 and True apart."""
    return ((type(value), value) for value in values)


def _compute(node: plan.Expression, values: Iterator[_Tagged]) -> plan.Constant:
    """Compute a node; each field takes the next of `values`, which stand in the order of the fields."""
    if isinstance(node, plan.Literal):
        return node.value
    if isinstance(node, plan.Field):
        return next(values)[1]
    if isinstance(node, plan.Comparison) and not isinstance(node.right, plan.Literal):
        return _compare_fields(node, _compute(node.left, values), _compute(node.right, values))
    return apply(node, [_compute(child, values) for child in plan.children(node)])


def _compare_fields(node: plan.Comparison, left: plan.Constant, right: plan.Constant) -> plan.Constant:
    """Compare two optional fields: `null == null` is true (section 9.3)."""
    if left is None and right is None and node.op in ("==", "!="):
        return node.op == "=="
    return apply(node, [left, right])
