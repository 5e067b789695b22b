"""Constants computed ahead, and one value against one pattern or list.

Source: sections 9.1 and 9.3 of the semantics document.
"""

from __future__ import annotations

from typing import cast

from maxspan.languages import plan
from maxspan.languages.casefold import fold as fold_case
from maxspan.languages.eql import values
from maxspan.languages.eql.lucene_regex import compile_regex
from maxspan.languages.eql.patterns import wildcard_test


def fold(node: plan.Expression) -> plan.Expression:
    """Compute a node whose parts are all constant; others are given back as they are."""
    if not all(isinstance(child, plan.Literal) for child in plan.children(node)):
        return node
    parts = [cast(plan.Literal, child).value for child in plan.children(node)]
    match node:
        case plan.Call(function=function, insensitive=insensitive):
            value = values.call(function, parts, insensitive=insensitive)
        case plan.Arithmetic(op=op):
            value = values.arithmetic(op, *parts)
        case plan.Negate():
            value = values.negate(parts[0])
        case plan.Comparison(op=comparison):
            value = values.compare(comparison, *parts)
        case plan.IsNull(negated=negated):
            value = (parts[0] is None) is not negated
        case plan.Like() | plan.Regex() | plan.In():
            value = None if parts[0] is None else matches(node, parts[0])
        case _:
            return node
    return plan.Literal(value, node.span)


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
