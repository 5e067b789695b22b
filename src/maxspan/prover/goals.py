"""What a condition asks for: leaves that must hold or must not, and choices between several."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, cast

from maxspan.languages import plan
from maxspan.prover.language import ANYTHING, Automaton, Either, Expression, Then, Units, text, wildcard
from maxspan.prover.regex_language import regex


@dataclass(frozen=True, slots=True)
class Goal:
    """A condition that must be true of an event (`wanted`) or false."""

    condition: plan.Condition
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class LeafGoal:
    """A leaf that must be true or false. `f != v` and `f != null` are written as the opposite of `==`."""

    leaf: plan.Leaf
    wanted: bool

    @classmethod
    def of(cls, leaf: plan.Leaf, wanted: bool) -> LeafGoal:
        match leaf:
            case plan.Comparison(op="!=", left=plan.Field(), right=plan.Literal()):
                return cls(replace(leaf, op="=="), not wanted)
            case plan.IsNull(operand=plan.Field(), negated=True):
                return cls(replace(leaf, negated=False), not wanted)
            case _:
                return cls(leaf, wanted)

    @property
    def absence(self) -> bool:
        """Whether it asks that a field has no value."""
        return self.wanted and isinstance(self.leaf, plan.IsNull) and isinstance(self.leaf.operand, plan.Field)

    def condition(self) -> plan.Condition:
        """Give the goal as a condition that must be true."""
        return self.leaf if self.wanted else plan.Not(self.leaf)


def names_in(node: plan.Node) -> tuple[str, ...]:
    """Give the names of the fields below a node, each once, in the order of the text."""
    return tuple(dict.fromkeys(field.name for field in plan.fields(node)))


def conjuncts(condition: plan.Condition, wanted: bool = True) -> Iterator[Goal]:
    """Take a condition apart into what must all be so: `and`, and the negation of `or`."""
    match condition:
        case plan.Not(item=item):
            yield from conjuncts(item, not wanted)
        case plan.And(items=items) if wanted:
            for item in items:
                yield from conjuncts(item, True)
        case plan.Or(items=items) if not wanted:
            for item in items:
                yield from conjuncts(item, False)
        case plan.Literal(value=True) if wanted:
            return
        case _:
            yield Goal(condition, wanted)


def renamed(node: plan.Condition, name: Callable[[str], str] | Mapping[str, str]) -> plan.Condition:
    """Give a condition whose fields have other names; a mapping leaves names alone that it lacks."""
    if isinstance(name, Mapping):
        table = name
        return cast(plan.Condition, _renamed(node, lambda old: table.get(old, old)))
    return cast(plan.Condition, _renamed(node, name))


def _renamed(node: plan.Expression, name: Callable[[str], str]) -> plan.Expression:
    match node:
        case plan.Field():
            return replace(node, name=name(node.name))
        case plan.Call(args=args):
            return replace(node, args=tuple(_renamed(arg, name) for arg in args))
        case plan.Arithmetic(left=left, right=right) | plan.Comparison(left=left, right=right):
            return replace(node, left=_renamed(left, name), right=_renamed(right, name))
        case (
            plan.Negate(operand=operand)
            | plan.IsNull(operand=operand)
            | plan.Like(operand=operand)
            | plan.Regex(operand=operand)
            | plan.In(operand=operand)
        ):
            return replace(node, operand=_renamed(operand, name))
        case plan.Not(item=item):
            return replace(node, item=renamed(item, name))
        case plan.And(items=items) | plan.Or(items=items):
            return replace(node, items=tuple(renamed(item, name) for item in items))
        case _:
            return node


# --- what is regular -------------------------------------------------------------------------------------------------


#: lengths beyond this are not looked at as languages
_LONGEST: Final = 500


@functools.lru_cache(maxsize=4096)
def automaton(leaf: plan.Leaf) -> Automaton | None:
    """Give the strings for which a leaf over a bare field is true; `None` where that is no regular language."""
    expression = _language(leaf)
    return None if expression is None else Automaton.of(expression)


def _language(leaf: plan.Leaf) -> Expression | None:
    match leaf:
        case plan.IsNull(operand=plan.Field()):
            return Either(())
        case plan.Comparison(op="==", left=plan.Field(), right=plan.Literal(value=value)):
            return text(value) if isinstance(value, str) else Either(())
        case plan.Comparison(left=plan.Field(), right=plan.Literal(value=value)):
            return None if isinstance(value, str) else Either(())
        case plan.Comparison(
            op=op, left=plan.Call(function="length", args=(plan.Field(),)), right=plan.Literal(value=int(size))
        ) if abs(size) <= _LONGEST:
            return _of_length(op, size)
        case plan.In(operand=plan.Call(function="length", args=(plan.Field(),)), values=values):
            sizes = [item.value for item in values]
            whole = [size for size in sizes if type(size) is int and abs(size) <= _LONGEST]
            return Either(tuple(_of_length("==", size) for size in whole)) if len(whole) == len(sizes) else None
        case plan.In(operand=plan.Field(), values=values, insensitive=insensitive):
            texts = [item.value for item in values if isinstance(item.value, str)]
            return Either(tuple(text(value, insensitive=insensitive) for value in texts))
        case plan.Like(operand=plan.Field(), patterns=patterns):
            return Either(tuple(wildcard(pattern, insensitive=leaf.insensitive) for pattern in patterns))
        case plan.Regex(operand=plan.Field(), patterns=patterns, insensitive=insensitive):
            return Either(tuple(regex(pattern, insensitive=insensitive) for pattern in patterns))
        case plan.Call(function=function, args=(plan.Field(), plan.Literal(value=str(part)))) if part:
            constant = text(part, insensitive=leaf.insensitive)
            match function:
                case "startsWith":
                    return Then((constant, ANYTHING))
                case "endsWith":
                    return Then((ANYTHING, constant))
                case "stringContains":
                    return Then((ANYTHING, constant, ANYTHING))
            return None
        case _:
            return None


def _of_length(op: str, size: int) -> Expression:
    ranges: list[tuple[int, int | None]]
    match op:
        case "==":
            ranges = [(size, size)]
        case "!=":
            ranges = [(0, size - 1), (size + 1, None)]
        case "<" | "<=":
            ranges = [(0, size - (op == "<"))]
        case _:
            ranges = [(max(0, size + (op == ">")), None)]
    return Either(tuple(Units(low, high) for low, high in ranges if low >= 0 and (high is None or high >= low)))


def is_simple(leaf: plan.Leaf) -> bool:
    """Whether a leaf asks something of each value of one bare field alone, so that numbers can be tried out in full."""
    match leaf:
        case plan.Comparison(left=plan.Field(), right=plan.Literal()):
            return True
        case (
            plan.Comparison(left=plan.Call(function="length", args=(plan.Field(),)), right=plan.Literal())
            | plan.In(operand=plan.Call(function="length", args=(plan.Field(),)))
        ):
            return True
        case plan.IsNull(operand=operand) | plan.In(operand=operand) | plan.Like(operand=operand):
            return isinstance(operand, plan.Field)
        case plan.Regex(operand=plan.Field()):
            return True
        case plan.Call(function="cidrMatch" | "startsWith" | "endsWith" | "stringContains", args=(first, *rest)):
            return isinstance(first, plan.Field) and all(isinstance(arg, plan.Literal) for arg in rest)
        case _:
            return False
