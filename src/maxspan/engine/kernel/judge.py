"""Conditions over several fields: parts that look at one field are asked of its table, the others of the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from maxspan.engine.kernel.events import DecodedFields
from maxspan.engine.kernel.pieces import single_field
from maxspan.engine.kernel.tables import FieldTable, table_key
from maxspan.engine.reference.condition import Evaluator
from maxspan.languages import plan

#: takes the fields of an event; gives whether the condition holds
Judge = Callable[[Any], bool]

_NOTHING: Final = ()
_MOST: Final = 50_000


class Bits:
    """Gives each condition on one field a bit of its own in the masks of that field's table."""

    def __init__(self, first: int) -> None:
        self._next = first
        self.by_table: dict[str, dict[plan.Condition, int]] = {}

    def of(self, name: str, condition: plan.Condition) -> int:
        bits = self.by_table.setdefault(table_key(name, condition), {})
        if condition not in bits:
            bits[condition] = 1 << self._next
            self._next += 1
        return bits[condition]

    @property
    def every(self) -> int:
        """Give the mask of all bits below the next one."""
        return (1 << self._next) - 1


def prepare(condition: plan.Condition, unsplit: frozenset[str], bits: Bits) -> None:
    """Ask for the bits that `make_judge` will need."""
    name = single_field(condition, unsplit)
    if name:
        bits.of(name, condition)
        return
    match condition:
        case plan.And(items=items) | plan.Or(items=items):
            for item in items:
                prepare(item, unsplit, bits)
        case plan.Not(item=item):
            prepare(item, unsplit, bits)
        case _:
            pass


def make_judge(
    condition: plan.Condition, unsplit: frozenset[str], bits: Bits, tables: dict[str, FieldTable], evaluator: Evaluator
) -> Judge:
    """Make what decides a condition for an event; see `prepare`."""
    by_table = _bits_by_table(condition, unsplit, bits)
    if by_table is not None:
        parts = [(tables[key].name, tables[key], own) for key, own in by_table.items()]
        return TableJudge(parts, _decision(condition, unsplit, bits)).judge
    match condition:
        case plan.And(items=items):
            judges = [make_judge(item, unsplit, bits, tables, evaluator) for item in items]
            return lambda fields: all(judge(fields) for judge in judges)
        case plan.Or(items=items):
            judges = [make_judge(item, unsplit, bits, tables, evaluator) for item in items]
            return lambda fields: any(judge(fields) for judge in judges)
        case plan.Not(item=item):
            inner = make_judge(item, unsplit, bits, tables, evaluator)
            return lambda fields: not inner(fields)
        case _:
            return lambda fields: evaluator.holds(condition, fields)


class TableJudge:
    """Decides a condition by what the tables of its fields say; what that comes to is remembered."""

    def __init__(self, parts: Sequence[tuple[str, FieldTable, int]], decide: Callable[[int], bool]) -> None:
        self._parts = parts
        self._decide = decide
        self._known: dict[int, bool] = {}

    def judge(self, fields: Any) -> bool:
        """Tell whether the condition holds for the fields of an event."""
        held = 0
        if type(fields) is DecodedFields:
            for name, table, own in self._parts:
                held |= table.masks[table[fields.raw(name)]] & own
        else:
            for name, table, own in self._parts:
                held |= table.mask(fields.get(name, _NOTHING)) & own
        known = self._known.get(held)
        if known is None:
            if len(self._known) > _MOST:
                self._known.clear()
            known = self._known[held] = self._decide(held)
        return known


def _bits_by_table(condition: plan.Condition, unsplit: frozenset[str], bits: Bits) -> dict[str, int] | None:
    """Give the bits that decide a condition, by table; None if the tables alone do not decide it."""
    name = single_field(condition, unsplit)
    if name:
        return {table_key(name, condition): bits.of(name, condition)}
    if not isinstance(condition, plan.And | plan.Or | plan.Not):
        return {} if isinstance(condition, plan.Literal) else None
    out: dict[str, int] = {}
    for item in plan.children(condition):
        inner = _bits_by_table(cast(plan.Condition, item), unsplit, bits)
        if inner is None:
            return None
        for key, own in inner.items():
            out[key] = out.get(key, 0) | own
    return out


def _decision(condition: plan.Condition, unsplit: frozenset[str], bits: Bits) -> Callable[[int], bool]:
    """Give what decides a condition by the bits that tables gave."""
    name = single_field(condition, unsplit)
    if name:
        own = bits.of(name, condition)
        return lambda held: held & own != 0
    match condition:
        case plan.And(items=items):
            every = [_decision(item, unsplit, bits) for item in items]
            return lambda held: all(one(held) for one in every)
        case plan.Or(items=items):
            some = [_decision(item, unsplit, bits) for item in items]
            return lambda held: any(one(held) for one in some)
        case plan.Not(item=item):
            inner = _decision(item, unsplit, bits)
            return lambda held: not inner(held)
        case _:
            is_true = condition == plan.TRUE
            return lambda held: is_true
