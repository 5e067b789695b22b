"""What the compiled scanner does with columns: texts and times to the letter, and parts that do not fit together."""

from __future__ import annotations

import datetime
import json
import struct
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxspan.engine.kernel import native
from maxspan.sources.timestamps import parse_timestamp_ns

ALL = b"\xff" * 8


EPOCH = datetime.datetime(1970, 1, 1)


def offsets(texts: list[str], *, wide: bool = False) -> tuple[bytes, bytes]:
    data, ends = b"", [0]
    for text in texts:
        data += text.encode()
        ends.append(len(data))
    return struct.pack(f"<{len(ends)}{'q' if wide else 'i'}", *ends), data


def longs(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}q", *numbers)


def ints(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}i", *numbers)


def cut(pieces: tuple[bytes, bytes]) -> list[bytes]:
    data, starts = pieces
    places = struct.unpack(f"<{len(starts) // 8}q", starts)
    assert places[-1] == len(data)
    return [data[begin : end - 1] for begin, end in pairwise(places)]


def module() -> Any:
    assert native.scan is not None
    return native.scan


def scanner(value: Any = lambda number, text: b"\x01" + bytes(7)) -> Any:
    """Make a scanner of the fields `a.b` and `v`, with one table of `v` that Python answers for."""
    answers = (
        lambda row: 0,
        lambda row: 1,
        value,
        lambda n, atoms: ALL,
        lambda m: int.from_bytes(m, "little"),
        json.loads,
    )
    return module().Scanner(("a.b", "v"), (0,), ((1, ALL, None),), 1, *answers)


# --- pieces ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.booleans())
def test_texts_are_those_of_msgspec(texts: list[str], wide: bool) -> None:
    texts = [*texts, "".join(map(chr, range(0x100)))]
    assert cut(module().text_pieces(wide, *offsets(texts, wide=wide))) == [msgspec.json.encode(text) for text in texts]


@given(st.lists(st.datetimes()))
def test_times_are_those_of_msgspec(times: list[datetime.datetime]) -> None:
    times += [datetime.datetime.min, datetime.datetime.max, EPOCH, datetime.datetime(2000, 2, 29, 23, 59, 59)]
    numbers = [(time - EPOCH) // datetime.timedelta(microseconds=1) for time in times]
    assert cut(module().time_pieces(longs(*numbers))) == [msgspec.json.encode(time) for time in times]


@pytest.mark.parametrize("number", [-62135596800000001, 253402300800000000, 2**63 - 1, -(2**63)])
def test_times_beyond_the_calendar(number: int) -> None:
    with pytest.raises(ValueError, match="calendar"):
        module().time_pieces(longs(0, number))


@pytest.mark.parametrize("ends", [(0, 2, 1), (0, -1), (-1, 0), (0, 4), (2**31 - 1, -(2**31))])
def test_texts_that_are_not_there(ends: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not there"):
        module().text_pieces(False, ints(*ends), b"abc")


# --- values ----------------------------------------------------------------------------------------------------------


def test_values_are_asked_once_and_rows_without_any_go() -> None:
    asked: list[Any] = []

    def value(number: int, text: bytes | None) -> bytes:
        asked.append(None if text is None else json.loads(text))
        return longs({None: 4, "a": 2, 'b"\n': 0}.get(asked[-1], 1)) if type(asked[-1]) is not list else longs(1)

    one = scanner(value)
    texts = offsets(["a", 'b"\n', "c"])
    rows, numbers, masks = one.narrow_rows(
        0, longs(*range(6)), longs(*[0] * 6), longs(7), False, *texts, ints(0, 1, 3, 2, 0, 3)
    )
    assert (rows, numbers, masks) == (longs(0, 2, 3, 4, 5), longs(0, 1, 2, 0, 1), longs(2, 4, 1))
    assert asked == ["a", 'b"\n', None, "c"]
    codes = ints(0, 3, 1, 3)
    found = one.narrow_rows(
        0, longs(0, 1, 2), longs(0, 0, 0), longs(3), False, *texts, codes, longs(0, 2, 4), longs(2, 4, 4)
    )
    assert found == (longs(0, 1, 2), longs(0, 0, 0), longs(1))
    assert asked[4:] == [["a"], ['b"\n'], []]
    assert one.narrow_rows(0, longs(), longs(), b"", False, b"", b"", b"") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"column": 1},
        {"rows": longs(3)},
        {"rows": longs(-1)},
        {"rows": longs(2**40)},
        {"numbers": longs(1)},
        {"numbers": longs(-1)},
        {"numbers": longs(0, 0)},
        {"masks": b"\xff" * 7},
        {"offsets": b"\0" * 7},
        {"offsets": ints(0, 9)},
        {"offsets": ints(3, 1)},
        {"codes": ints(7)},
        {"codes": ints(-1)},
        {"codes": b"\0" * 3},
        {"codes": b""},
        {"lists": (longs(0),)},
        {"lists": (longs(0), longs(0, 1))},
        {"lists": (longs(0), longs(2))},
        {"lists": (longs(1), longs(0))},
        {"lists": (longs(-1), longs(0))},
        {"lists": (longs(), longs())},
        {"lists": (longs(0), longs(1)), "codes": ints(5)},
        {"lists": (longs(0), longs(1)), "codes": ints(-5)},
    ],
    ids=str,
)
def test_columns_that_do_not_fit_together(wrong: dict[str, Any]) -> None:
    parts: dict[str, Any] = {"column": 0, "rows": longs(0), "numbers": longs(0), "masks": ALL, "wide": False}
    parts |= {"offsets": ints(0, 1), "data": b"a", "codes": ints(0), "lists": ()}
    *first, lists = (parts | wrong).values()
    with pytest.raises(ValueError):
        scanner().narrow_rows(*first, *lists)
    *first, lists = parts.values()
    assert scanner().narrow_rows(*first, *lists) == (longs(0), longs(0), longs(1))


def test_errors_of_what_is_asked_are_told() -> None:
    def failing(number: int, text: bytes | None) -> bytes:
        raise ZeroDivisionError

    one = scanner(failing)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            one.narrow_rows(0, longs(0), longs(0), ALL, False, ints(0, 1), b"a", ints(0))


# --- lines -----------------------------------------------------------------------------------------------------------

NONE = (None,) * 6
PIECES = (b'"x"\n12\n', longs(0, 4, 7))
SCALAR = (0, b'"v":', True, 1, 0, None, *PIECES, ints(1, 0, 2), None, None)
LIST = (1, b'"l":', True, -1, 0, b"\1\1\0", *PIECES, ints(0, 2, 1), longs(0, 2, 3), longs(2, 3, 3))
INNER = (0, b'"b":', False, 0, 0, None, *PIECES, ints(2, 0, 1), None, None)
STRUCT = ((2, b'"a":', True, -1, 3, b"\1\0\1", *NONE[1:]), INNER, (3, b"", False, -1, 0, *NONE))


def lines(
    parts: Any, *, rows: bytes = longs(0, 1, 2), count: int = 3, masks: bytes = longs(5), numbers: Any = None
) -> Any:
    numbers = longs(*[0] * (len(rows) // 8)) if numbers is None else numbers
    return scanner().lines(None, "p", 1, 0, False, count, rows, masks, numbers, parts)


def test_lines_are_written_with_their_fields() -> None:
    found = list(lines((*STRUCT, SCALAR, LIST)))
    assert [row.line() for row in found] == [
        b'{"a":{"b":null},"v":12,"l":["x",null]}',
        b'{"v":"x","l":[12]}',
        b'{"a":{"b":12}}',
    ]
    assert [(row[0], row[1], row.mask, row.number) for row in found] == [
        (None, 12, 5, 0),
        (None, "x", 5, 1),
        (12, None, 5, 2),
    ]
    some = lines((SCALAR,), rows=longs(2, 0))
    some.end = 1
    assert [row.line() for row in some] == [b"{}"]
    some.end = 100
    assert [row.line() for row in some] == [b'{"v":12}']
    assert list(some) == []


@pytest.mark.parametrize(
    "part",
    [
        (4, *SCALAR[1:]),
        (-1, *SCALAR[1:]),
        (*SCALAR[:3], 2, *SCALAR[4:]),
        (*SCALAR[:6], None, *SCALAR[7:]),
        (*SCALAR[:6], b'"x"', *SCALAR[7:]),
        (*SCALAR[:7], b"", *SCALAR[8:]),
        (*SCALAR[:7], longs(0, 0), *SCALAR[8:]),
        (*SCALAR[:7], longs(-1, 3), *SCALAR[8:]),
        (*SCALAR[:8], ints(0), *SCALAR[9:]),
        (*SCALAR[:8], None, *SCALAR[9:]),
        (*LIST[:9], None, None),
        (*LIST[:9], longs(0), longs(0, 0, 0)),
        (*LIST[:5], b"\1", *LIST[6:]),
        (2, b'"a":', True, -1, 0, None, *NONE[1:]),
        (2, b'"a":', True, -1, 9, None, *NONE[1:]),
    ],
    ids=str,
)
def test_parts_that_do_not_fit_together(part: Any) -> None:
    with pytest.raises(ValueError):
        lines((part,))


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": longs(3)},
        {"rows": longs(-1)},
        {"numbers": longs(1, 1, 1)},
        {"numbers": longs(-1, 0, 0)},
        {"parts": ((*SCALAR[:8], ints(3, 3, 3), *SCALAR[9:]),)},
        {"parts": ((*SCALAR[:8], ints(-1, -1, -1), *SCALAR[9:]),)},
        {"parts": ((*LIST[:9], longs(0, 2, 3), longs(9, 9, 9)),)},
        {"parts": ((*LIST[:9], longs(-1, 2, 3), longs(0, 2, 3)),)},
        {"parts": ((*LIST[:8], ints(5, -5, 5), *LIST[9:]),)},
    ],
    ids=str,
)
def test_rows_that_are_not_there(wrong: dict[str, Any]) -> None:
    parts = {"parts": (SCALAR,), **wrong}
    with pytest.raises(ValueError):
        list(lines(**parts))


def test_as_many_numbers_as_rows() -> None:
    with pytest.raises(ValueError):
        lines((SCALAR,), numbers=longs(0))


@pytest.mark.parametrize(
    "fraction", ["", ".", ".1", ".123456", ".123456789", ".1234567890", ".12x", "x", "+01:00", " "]
)
@pytest.mark.parametrize("zone", ["", "Z", "z"])
@pytest.mark.parametrize(
    "second", ["2024-02-29T23:59:59", "2023-02-29T00:00:00", "1969-12-31T23:59:5", "2024-05-01 00:00:00"]
)
def test_times_with_and_without_a_zone(second: str, fraction: str, zone: str) -> None:
    text = second + fraction + zone
    piece = msgspec.json.encode(text)
    data = piece + b"\n"
    part = (0, b'"v":', True, 1, 0, None, data, longs(0, len(data)), ints(0), None, None)
    (row,) = lines((part,), rows=longs(0), count=1)
    assert row.time(1) in (None, parse_timestamp_ns(text))
    if second.startswith("2024-02") and fraction in ("", ".1", ".123456", ".123456789") and zone != "z":
        assert row.time(1) is not None
