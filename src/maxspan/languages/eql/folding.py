"""Constants computed ahead, and one value against one pattern or list.

Source: sections 9.1 and 9.3 of the semantics document.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from maxspan.languages import plan
from maxspan.languages.casefold import fold as fold_case
from maxspan.languages.eql import values
from maxspan.languages.eql.lucene_regex import compile_regex
from maxspan.languages.eql.patterns import wildcard_test


def fold(node: plan.Expression) -> plan.Expression:
    """Compute a node whose parts are all constant; others are given back as they are."""
    parts = plan.children(node)
    if not parts or not all(isinstance(part, plan.Literal) for part in parts):
        return node
    return plan.Literal(apply(node, [cast(plan.Literal, part).value for part in parts]), node.span)


def apply(node: plan.Expression, parts: Sequence[plan.Constant]) -> plan.Constant:
    """Compute a node from the values of its children, in their order; null is contagious except in null tests."""
    match node:
        case plan.Call(function=function, insensitive=insensitive):
            return values.call(function, parts, insensitive=insensitive)
        case plan.Arithmetic(op=op):
            return values.arithmetic(op, *parts)
        case plan.Negate():
            return values.negate(parts[0])
        case plan.Comparison(op=comparison):
            return values.compare(comparison, *parts)
        case plan.IsNull(negated=negated):
            return (parts[0] is None) is not negated
        case plan.Like() | plan.Regex() | plan.In():
            return None if parts[0] is None else matches(node, parts[0])
        case plan.Not():
            return None if parts[0] is None else parts[0] is not True
        case plan.And():
            return False if False in parts else None if None in parts else True
        case plan.Or():
            return True if True in parts else None if None in parts else False
        case _:
            raise TypeError(f"{type(node).__name__} has no value of its own")


def matches(node: plan.Like | plan.Regex | plan.In, value: plan.Constant) -> bool:
    """Whether one value fulfils a pattern or list; a value of another type does not."""
    if isinstance(node, plan.In):
        if node.insensitive:
            folded = isinstance(value, str) and fold_case(value)
            return any(isinstance(item.value, str) and fold_case(item.value) == folded for item in node.values)
        return any(values.compare("==", value, item.value) is True for item in node.values)
    if not isinstance(value, str):
        return False
    if isinstance(node, plan.Like):
        return any(wildcard_test(pattern, insensitive=node.insensitive)(value) for pattern in node.patterns)
    return any(
        compile_regex(pattern, insensitive=node.insensitive).fullmatch(value) is not None for pattern in node.patterns
    )
