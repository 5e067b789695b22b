"""Conditions over several fields: parts that look at one field are asked of its table, the others of the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from maxspan.engine.kernel.pieces import single_field
from maxspan.engine.kernel.tables import FieldTable
from maxspan.engine.reference.condition import Evaluator
from maxspan.languages import plan

#: takes the fields of an event; gives whether the condition holds
Judge = Callable[[Any], bool]

_NOTHING: Final = ()


class Bits:
    """Gives each condition on one field a bit of its own in the masks of that field's table."""

    def __init__(self, first: int) -> None:
        self._next = first
        self.by_field: dict[str, dict[plan.Condition, int]] = {}

    def of(self, name: str, condition: plan.Condition) -> int:
        bits = self.by_field.setdefault(name, {})
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
    name = single_field(condition, unsplit)
    if name:
        table, bit = tables[name], bits.of(name, condition)
        return lambda fields: bool(table.mask(fields.get(name, _NOTHING)) & bit)
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
