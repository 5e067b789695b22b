"""Every way that events write a point in time, as nanoseconds since 1970, UTC.

    "2026-11-24T03:06:23.843389Z"      ISO-8601: date, date and hour, ... down to any number of decimals, any offset
    "2026-11"                          what is left out is the beginning of it (January, the 1st, 00:00)
    1795489583843                      integers are epoch milliseconds
    1795489583, 1795489583.843389      below 1e11, and with decimals: epoch seconds (only where `seconds` is true)
    "1795489583843"                    the same in quotes; four digits are a year

Decimals beyond the ninth are cut, not rounded, so that no event moves past a later one.
"""

from __future__ import annotations

import math
import re
from datetime import date
from functools import lru_cache
from typing import Final

NS_PER_SECOND: Final = 1_000_000_000
NS_PER_MILLISECOND: Final = 1_000_000

#: Times that fit 64 bits, as `date_nanos` does: 1677-09-21 to 2262-04-11. What lies outside is no time of an event.
EARLIEST_NS: Final = -(2**63)
LATEST_NS: Final = 2**63 - 1

#: Numbers smaller than this are seconds (as milliseconds they would end in March 1973).
SECONDS_BELOW: Final = 100_000_000_000

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()

_ISO: Final = re.compile(
    r"([0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?)"
    r"(?:[Tt ](?:([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:[.,]([0-9]+))?)?)?)?)?"
    r"(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2}))?)?)?"
)
_NUMBER: Final = re.compile(r"([+-]?)([0-9]{1,30})(?:\.([0-9]+))?")
_LONGEST_TEXT: Final = 100


def parse_timestamp_ns(value: object, *, seconds: bool = True) -> int | None:
    """Give a point in time as nanoseconds since 1970 (UTC), or `None` where `value` is not one.

    `value` is a scalar of an event: text, integer or float. Text without an offset is UTC. With `seconds` false every
    number is milliseconds, as in a date field of Elasticsearch without a format. Booleans, null, other types, dates
    that the calendar does not have and times outside 64 bits give `None`; nothing is raised.

    Source: Elasticsearch, `strict_date_optional_time_nanos||epoch_millis`, the default format of date fields.
    """
    if type(value) is str:
        if value[19:20] == "." and value[-1] == "Z" and value[20:-1].isdecimal() and value.isascii():
            whole = _whole_second(value[:19])
            return None if whole is None else _in_range(whole + int(value[20:-1][:9].ljust(9, "0")))
        return _in_range(_from_text(value, seconds))
    if type(value) is int:
        if not EARLIEST_NS <= value <= LATEST_NS:
            return None
        return _in_range(_from_number(value, 0, seconds=seconds and abs(value) < SECONDS_BELOW))
    if type(value) is float and math.isfinite(value):
        return _in_range(_from_decimal(_plain(value), seconds))
    return None


@lru_cache(maxsize=8192)
def _whole_second(text: str) -> int | None:
    """Read `2026-11-24T03:06:23`: events come many to a second."""
    return _from_text(text, False)


def _in_range(time_ns: int | None) -> int | None:
    return time_ns if time_ns is not None and EARLIEST_NS <= time_ns <= LATEST_NS else None


def _from_text(text: str, seconds: bool) -> int | None:
    if len(text) > _LONGEST_TEXT:
        return None
    match = _ISO.fullmatch(text)
    if match is None:
        text = text.strip()
        match = _ISO.fullmatch(text)
        if match is None:
            return _from_decimal(text, seconds, whole_is_milliseconds=True)
    day, hour, minute, second, fraction, sign, *offset = match.groups()
    days = _days(day)
    hours, minutes, whole = int(hour or 0), int(minute or 0), int(second or 0)
    if days is None or hours > 23 or minutes > 59 or whole > 60:
        return None
    total = ((days * 24 + hours) * 60 + minutes) * 60 + whole
    if sign:
        east = _offset_seconds(*offset)
        if east is None:
            return None
        total -= east if sign == "+" else -east
    return total * NS_PER_SECOND + (int(fraction[:9].ljust(9, "0")) if fraction else 0)


def _offset_seconds(hours: str, minutes: str | None, seconds: str | None) -> int | None:
    parts = int(hours), int(minutes or 0), int(seconds or 0)
    if parts[0] > 18 or parts[1] > 59 or parts[2] > 59:
        return None
    return (parts[0] * 60 + parts[1]) * 60 + parts[2]


@lru_cache(maxsize=4096)
def _days(text: str) -> int | None:
    """Give the days since 1970 of `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, or `None` where there is no such day."""
    year, month, day = int(text[:4]), int(text[5:7] or 1), int(text[8:10] or 1)
    try:
        return date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None


def _plain(value: float) -> str:
    """Write a float as it stood in the document, without exponent."""
    text = repr(value)
    return text if "e" not in text else f"{value:.20f}"


def _from_decimal(text: str, seconds: bool, *, whole_is_milliseconds: bool = False) -> int | None:
    """Read `-12.5`; without a point and `whole_is_milliseconds`, large numbers are milliseconds like integers."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction = match.groups()
    number = int(whole)
    time_ns = _from_number(number, fraction or "", seconds=seconds and number < SECONDS_BELOW)
    return -time_ns if sign == "-" else time_ns


def _from_number(whole: int, fraction: str | int, *, seconds: bool) -> int:
    digits = 9 if seconds else 6
    rest = int(str(fraction)[:digits].ljust(digits, "0")) if fraction else 0
    scale: int = 10**digits
    return whole * scale + rest
