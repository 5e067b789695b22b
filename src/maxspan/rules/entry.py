"""What a rule file became, as bytes and back: an entry of the rule cache."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, get_type_hints

import msgspec

from maxspan.errors import Problem
from maxspan.rules.model import Rule
from maxspan.rules.parse import Contents
from maxspan.rules.plan_form import BadForm, query_from_form, to_form

_NAMES: Final = tuple(Rule.__dataclass_fields__)
_PLAN: Final = _NAMES.index("plan")
_PATH: Final = _NAMES.index("path")
_HINTS: Final = {**get_type_hints(Rule), "plan": Any}
#: A rule as a list of its attributes, the plan in its plain form.
_Row: Final = msgspec.defstruct("_Row", [(name, _HINTS[name]) for name in _NAMES], array_like=True)
#: rules, problems, others, exceptions, broken
_decode: Final = msgspec.msgpack.Decoder(tuple[list[_Row], list[Problem], int, int, int]).decode  # type: ignore[valid-type]
_encode: Final = msgspec.msgpack.Encoder().encode


class BadEntry(Exception):
    """Bytes that are no entry."""


def to_entry(contents: Contents, path: str) -> bytes | None:
    """Give the contents of the file at `path` as bytes; None where they hold what cannot be kept (huge numbers)."""
    rows: list[list[Any]] = []
    for rule in contents.rules:
        row = [getattr(rule, name) for name in _NAMES]
        row[_PLAN] = None if rule.plan is None else to_form(rule.plan)
        row[_PATH] = ""
        rows.append(row)
    problems = [replace(problem, path="") for problem in contents.problems]
    try:
        return _encode((rows, problems, contents.others, contents.exceptions, contents.broken))
    except (msgspec.MsgspecError, OverflowError, UnicodeEncodeError, TypeError, RecursionError):
        return None


def from_entry(data: bytes | msgspec.Raw, path: str) -> Contents:
    """Make the contents again, for a file at `path`. Raises BadEntry."""
    try:
        rows, problems, others, exceptions, broken = _decode(data)
        rules = [_rule(row, path) for row in rows]
    except (msgspec.MsgspecError, BadForm, RecursionError) as error:
        raise BadEntry(str(error)) from None
    return Contents(rules, [replace(problem, path=path) for problem in problems], others, exceptions, broken)


def _rule(row: Any, path: str) -> Rule:
    values = list(msgspec.structs.astuple(row))
    values[_PATH] = path
    if values[_PLAN] is not None:
        values[_PLAN] = query_from_form(values[_PLAN])
    return Rule(*values)
