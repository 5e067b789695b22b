"""Values by the type of their field: dates, addresses and versions are compared as what they are.

A type is the name of an Elasticsearch field type; an empty string means that the value speaks for itself (no schema).
Source: section 9.5 of the semantics document.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Final, TypeAlias

from maxspan.languages.eql.values import compare as compare_plain
from maxspan.languages.eql.values import parse_address, to_string
from maxspan.languages.plan import Constant
from maxspan.languages.resolve import DATE_TYPES, NUMBER_TYPES, STRING_TYPES, WHOLE_TYPES
from maxspan.sources.timestamps import parse_timestamp_ns

#: what a value becomes for comparing: the value itself, nanoseconds, an address as number, or a version's sort key
Comparable: TypeAlias = Any

_MILLISECOND: Final = 1_000_000


def comparable(value: Any, kind: str, *, seconds: bool = False) -> Comparable | None:
    """Turn a value of an event into what its type compares by; `None` where it is no value of that type.

    `date` has millisecond resolution, `date_nanos` nanoseconds; `seconds` is passed on to `parse_timestamp_ns`.
    """
    if not kind:
        return value
    if kind in STRING_TYPES:
        return to_string(value)
    if kind in DATE_TYPES:
        instant = parse_timestamp_ns(value, seconds=seconds)
        return instant // _MILLISECOND * _MILLISECOND if instant is not None and kind == "date" else instant
    if kind in NUMBER_TYPES:
        return _number(value, kind)
    if kind == "boolean":
        return {"true": True, "false": False}.get(value) if isinstance(value, str) else _only(value, bool)
    if kind == "ip":
        return _address(value)
    return version_key(value) if isinstance(value, str) else None


def script_value(value: Any, kind: str) -> Constant:
    """Turn a value of an event into what functions and arithmetic get to see: numbers as numbers, the rest as text."""
    if kind in NUMBER_TYPES or kind == "boolean":
        number: Constant = comparable(value, kind)
        return number
    if kind in STRING_TYPES:
        return to_string(value)
    if kind in DATE_TYPES and not isinstance(value, str):
        return iso_time(comparable(value, kind))
    plain: Constant = value
    return plain


def compare(op: str, value: Comparable, literal: Constant, kind: str) -> bool:
    """Compare a value (from `comparable`) of a field with a literal; null is never equal and has no order."""
    if literal is None or value is None:
        return False
    if kind in DATE_TYPES:
        span = literal_instants(literal)
        return span is not None and _in_span(op, value, span)
    return compare_plain(op, value, _literal(literal, kind)) is True


def _literal(literal: Constant, kind: str) -> Comparable:
    if kind == "ip":
        return _address(literal)
    if kind == "version":
        return version_key(literal) if isinstance(literal, str) else None
    return literal


def _in_span(op: str, value: int, span: tuple[int, int]) -> bool:
    """Compare with a date that stands for all instants from first to last: `>` means after the last of them."""
    first, last = span
    match op:
        case "==":
            return first <= value <= last
        case "!=":
            return not first <= value <= last
        case "<":
            return value < first
        case "<=":
            return value <= last
        case ">":
            return value > last
        case _:
            return value >= first


_DATE = re.compile(
    r"\d{4}(?:-\d\d(?:-\d\d(?:T(?:(\d\d)(?::(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?)?)?(?:Z|[+-]\d\d:?\d\d)?)?)?)?"
)
_SECOND: Final = 1_000_000_000


@functools.lru_cache(maxsize=4096)
def literal_instants(literal: Constant) -> tuple[int, int] | None:
    """Give the first and last nanosecond that a date literal stands for; a whole number is epoch milliseconds.

    `"2024-03-05"` is a day, `"2024-03-05T10"` an hour; a missing month or day is the first, so that `"2024-03"` is the
    first day of March, as in range queries of Elasticsearch; with a fraction it is one instant. `None` for what is no
    date.
    """
    if isinstance(literal, bool) or literal is None:
        return None
    first = parse_timestamp_ns(literal, seconds=False)
    if first is None or not isinstance(literal, str):
        return None if first is None else (first, first)
    found = _DATE.fullmatch(literal)
    if found is None:
        return first, first
    hour, minute, second = found.groups()
    if re.search(r"[.,]\d", literal):
        return first, first
    unit = 86400 if hour is None else 3600 if minute is None else 60 if second is None else 1
    return first, first + unit * _SECOND - 1


def iso_time(instant_ns: int | None) -> str | None:
    """Write nanoseconds since 1970 as ISO time in UTC with milliseconds."""
    if instant_ns is None:
        return None
    from datetime import UTC, datetime, timedelta

    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant_ns // _MILLISECOND)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def _number(value: Any, kind: str) -> int | float | None:
    if isinstance(value, str):
        try:
            value = float(value) if kind not in WHOLE_TYPES or not value.lstrip("+-").isdigit() else int(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind in WHOLE_TYPES:
        return int(value) if value == value and abs(value) != float("inf") else None
    return float(value)


def _only(value: Any, kind: type) -> Any:
    return value if isinstance(value, kind) else None


def _address(value: Any) -> int | None:
    """Give an address as its 128-bit number; an IPv4 address is the IPv6 address that maps it."""
    address = parse_address(value) if isinstance(value, str) else None
    if address is None:
        return None
    return int(address) | (0xFFFF << 32 if address.version == 4 else 0)


_VERSION = re.compile(r"(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+))?(\+[0-9A-Za-z.-]+)?")


class VersionKey(tuple[Any, ...]):
    """A version as its place in the order of versions; two are equal when they are written the same."""

    __slots__ = ()


@functools.lru_cache(maxsize=4096)
def version_key(text: str) -> VersionKey:
    """Order versions: numbers by value, a pre-release before its release, and what is no version after all others."""
    found = _VERSION.fullmatch(text)
    if found is None:
        return VersionKey((1, text))
    main, release, _ = found.groups()
    numbers = tuple(map(int, main.split(".")))
    identifiers = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in (release or "").split("."))
    return VersionKey((0, numbers, release is None, identifiers if release else (), text))
