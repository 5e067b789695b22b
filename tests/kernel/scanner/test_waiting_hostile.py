"""Events that wait in the scanner: none is lost, mixed up, kept for ever, or used when gone, whatever is told."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from tests.kernel.asked import (
    BEGIN,
    CONTINUES,
    FAR,
    FIELDS,
    HOST,
    KEY,
    OPENS,
    OTHER,
    SAMPLES,
    SECOND,
    SECOND_KEY,
    TIE,
    TIME,
    Waiting,
    decoded,
    event,
    mask,
    module,
    program,
)

# --- waiting ---------------------------------------------------------------------------------------------------------


def test_what_begins_a_sequence_waits_and_what_continues_it_comes() -> None:
    waiting = Waiting()
    lines = [event(OPENS, 0), event(CONTINUES, 1, b'"b"'), event(OPENS, 1, b'"b"'), event(CONTINUES, 1), event(OTHER)]
    assert waiting.read(*lines, first=7, position=100) == [(2, OPENS), (3, CONTINUES), (4, OTHER)]
    assert waiting.lane().passed_ns == BEGIN + SECOND
    assert waiting.lane().parked(1, None) == waiting.lane().parked(2**32 - 1, None) == []
    assert waiting.parked(("b",)) == []
    assert waiting.lane().bytes > 0
    assert waiting.lane().parked(0, ("a",)) == [(lines[0], "p", 7, 100, 1)]
    assert waiting.parked(("a",)) == waiting.parked(None) == []
    assert waiting.lane().bytes == 0


@pytest.mark.parametrize("number", [-1, 2**32 - 1, 2**32, 2**64, "0", None, 0.5])
def test_openers_that_are_not_there(number: Any) -> None:
    waiting = Waiting()
    waiting.read(event(OPENS))
    waiting.parked(None)
    waiting.read(event(OPENS, 1))
    for _ in range(3):
        try:
            found = waiting.lane().parked(number, None)
        except (TypeError, OverflowError):
            continue
        assert found == [] or len(found) == 1
    assert waiting.lane().bytes >= 0


def test_events_of_several_keys_are_taken_with_all_that_waits() -> None:
    waiting = Waiting((KEY, SECOND_KEY))
    lines = [
        event(OPENS, 0, b'"a"', l=b'"1"'),
        event(OPENS, 1, b'["a", "b"]', l=b'"1"'),
        event(OPENS, 2, b'"c"', l=b'"1"'),
        event(OPENS, 3, b'"b"', l=b'["1"]'),
        event(OPENS, 4, b'"a"', l=b'["2","3","2"]'),
    ]
    assert waiting.read(*lines) == []
    assert waiting.parked(("c", "1")) == [(3, 2)]
    assert waiting.parked(("a", "9")) == []
    assert waiting.parked(("b", "1")) == [(1, 0), (2, 1), (4, 3), (5, 4)]
    assert waiting.lane().bytes == 0


KEYS: dict[str, tuple[bytes, bool]] = {
    "a text": (b'"a"', True),
    "an empty text": (b'""', True),
    "beyond ASCII": ('"\u00e4\u4e2d\U0001f600"'.encode(), True),
    "a list": (b'[ "a" , "b" ]', True),
    "24 values": (b"[%s]" % b",".join(b'"%d"' % n for n in range(24)), True),
    "25 values": (b"[%s]" % b",".join(b'"%d"' % n for n in range(25)), False),
    "an escape": (b'"\\u0061"', False),
    "a slash": (b'"a\\/b"', False),
    "an escape in a list": (b'["a","\\u0061"]', False),
    "a number": (b"1", False),
    "true": (b"true", False),
    "no values": (b"[]", False),
    "null in a list": (b'["a",null]', False),
    "a number in a list": (b'["a",1]', False),
    "numbers": (b"[1]", False),
}


@pytest.mark.parametrize(("key", "waits"), KEYS.values(), ids=list(KEYS))
def test_keys_that_wait_are_texts(key: bytes, waits: bool) -> None:
    waiting = Waiting()
    assert waiting.read(event(OPENS, 0, key)) == ([] if waits else [(0, OPENS)])
    waiting.lane().until_ns = FAR
    waiting.keys.open(("other",), FAR, 0)
    assert waiting.read(event(CONTINUES, 1, key)) == [(0, CONTINUES)]
    if waits:
        found = decoded(key)
        last = found[-1] if type(found) is list else found
        assert waiting.parked((last + "x",)) == []
        assert waiting.parked((last,)) == [(1, 0)]


@pytest.mark.parametrize("key", [b"", b"null"])
def test_no_key(key: bytes) -> None:
    waiting = Waiting((KEY, SECOND_KEY))
    for known, other in ((b'"a"', key), (key, b'"a"'), (b"[1]", key), (key, b"[1]"), (key, key)):
        assert waiting.read(event(OPENS, 0, known, l=other), event(CONTINUES, 0, known, l=other)) == []
    assert waiting.lane().bytes == 0
    optional = Waiting((KEY, SECOND_KEY), required=(1, 0))
    assert optional.read(event(OPENS, 0, l=key)) == [(0, OPENS)]
    assert optional.read(event(OPENS, 0, key, l=b'"a"')) == []
    assert optional.lane().bytes == 0


def test_a_key_of_many_fields_with_lists() -> None:
    """More keys than are noted for one event are left to Python."""
    waiting = Waiting((KEY, SECOND_KEY))
    values = b"[%s]" % b",".join(b'"%d"' % n for n in range(24))
    assert waiting.read(event(OPENS, 0, values, l=b'"b"')) == []
    assert waiting.read(event(OPENS, 1, values, l=values)) == [(0, OPENS)]
    several = Waiting()
    for _ in range(3):
        several.skip.add_opener(mask(OPENS), False, (KEY,), (1,), (0,), SECOND)
    several.program = lambda mask_: ((), (0, 1, 2, 3), (), ())
    assert several.read(event(OPENS, 0, values)) == [] or several.lane().bytes > 0


@pytest.mark.parametrize(
    ("first", "second", "waits"),
    [
        (event(OPENS, 1), event(OPENS, 0), False),
        (event(OPENS, 1), event(OPENS, 1), True),
        (event(OPENS, 1, n=b"1"), event(OPENS, 1, n=b"1"), True),
        (event(OPENS, 1, n=b"2"), event(OPENS, 1, n=b"1"), False),
        (event(OPENS, 1, n=b"1"), event(OPENS, 1), False),
        (event(OPENS, 1), event(OPENS, 1, n=b"1"), False),
        (event(OPENS, 1), event(OPENS, 2, n=b"999999999999999999"), True),
        (event(OPENS, 1), event(OPENS, 2, n=b"9999999999999999999"), False),
        (event(OPENS, 1), event(OPENS, 2, n=b"-1"), False),
        (event(OPENS, 1), event(OPENS, 2, n=b'"1"'), False),
        (event(OPENS, 1), event(OPENS, 2, n=b"1.0"), False),
        (event(OPENS, 1), event(OPENS, 2, n=b"null"), False),
        (event(OPENS, 1), event(OPENS, 2, n=b"[1]"), False),
        (event(OPENS, 1), event(OPENS, 2, t=b"1714557602000"), False),
        (event(OPENS, 1), event(OPENS, 2, t=b""), False),
        (event(OPENS, 1), event(OPENS, 2, t=b'"9999-12-31T23:59:59Z"'), False),
        (event(OPENS, 1), event(OPENS, 2, t=b'"2250-12-31T23:59:59Z"'), True),
        (event(OPENS, 1), event(OPENS, 2, t=b'"1699-12-31T23:59:59Z"'), False),
        (event(OPENS, 1, t=b'"1700-01-01T00:00:00Z"'), event(OPENS, 2), True),
        (event(CONTINUES, 1), event(OPENS, 1), False),
        (event(CONTINUES, 1, b'"b"'), event(OPENS, 0.999), False),
        (event(CONTINUES, 1), event(OPENS, 1.001), True),
    ],
)
def test_only_what_comes_in_order_waits(first: bytes, second: bytes, waits: bool) -> None:
    waiting = Waiting(maxspan_ns=FAR)
    assert waiting.read(first) == []
    assert waiting.read(second) in ([[]] if waits else [[(0, OPENS)], [(0, None)]])


def test_nothing_waits_behind_what_was_looked_at() -> None:
    waiting = Waiting()
    assert waiting.read(event(OPENS)) == []
    waiting.lane().taken_ns = BEGIN + SECOND
    assert waiting.read(event(OPENS, 1), event(OPENS, 1.001), event(OPENS, 0.5)) == [(0, OPENS), (2, OPENS)]
    waiting.lane().taken_ns = FAR
    assert waiting.read(event(OPENS, 100)) == [(0, OPENS)]


def test_what_is_over_goes_a_minute_later() -> None:
    waiting = Waiting(maxspan_ns=10 * SECOND)
    assert waiting.read(*(event(OPENS, n, b'"k%d"' % n) for n in range(600))) == []
    lane = waiting.lane()
    assert lane.dropped_ns == BEGIN + (599 - 60 - 1) * SECOND
    assert [number for number, _ in waiting.parked(None)] == list(range(530, 601))
    assert lane.bytes == 0


@pytest.mark.parametrize("maxspan_ns", [0, 1, FAR])
def test_the_shortest_and_the_longest_maxspan(maxspan_ns: int) -> None:
    waiting = Waiting(maxspan_ns=maxspan_ns)
    late = event(CONTINUES, 2, t=b'"2250-12-31T23:59:59.999999999Z"')
    assert waiting.read(event(OPENS), event(CONTINUES, 0)) == [(1, CONTINUES)]
    assert waiting.read(late) == ([(0, CONTINUES)] if maxspan_ns == FAR else [])
    assert waiting.keys.latest_ns == min(BEGIN + maxspan_ns, FAR)


def test_lanes_of_hosts_and_across_hosts() -> None:
    waiting = Waiting(across=True)
    assert waiting.read(event(OPENS, 1), event(OPENS, 2, h=b'"y"'), event(OPENS, 3, h=b"")) == []
    assert [lane.bytes for lane in waiting.lanes.values()] == [0, 0, 0]
    assert waiting.every.bytes > 0
    waiting.lane_of = lambda host: None
    assert waiting.read(event(OPENS, 4, h=b"1")) == [(0, OPENS)]
    assert [event[2] for event in waiting.every.parked(0, ("a",))] == [1, 2, 3]


def test_one_event_waits_at_both() -> None:
    waiting = Waiting()
    waiting.skip.add_opener(mask(OTHER), True, (KEY,), (1,), (), SECOND)
    waiting.program = lambda mask_: ((), tuple(n for n, bit in enumerate((OPENS, OTHER)) if mask_ & bit), (), ())
    line = event(OPENS | OTHER)
    assert waiting.read(line) == []
    assert waiting.lane().parked(0, ("a",)) == waiting.every.parked(1, ("a",)) == [(line, "p", 1, 0, 1)]
    assert waiting.read(event(OPENS | OTHER | 16, 1)) == [(0, 16)]


def test_samples_wait_in_their_order() -> None:
    waiting = Waiting()
    assert waiting.skip.seen(0) == waiting.skip.sample_bytes == 0
    lines = [event(SAMPLES, 5), event(SAMPLES | OTHER, 1, t=b"0"), event(SAMPLES, 3, t=b"", h=b"[1]")]
    assert waiting.read(*lines) == [(1, OTHER)]
    assert waiting.skip.sample_bytes > sum(map(len, lines))
    assert waiting.skip.seen(0) == 5
    assert [(one[0], one[2], one[3], one[4]) for one in waiting.skip.sampled(0)] == [
        (line, number + 1, number, 5) for number, line in enumerate(lines)
    ]
    assert waiting.skip.sampled(0) == []
    assert (waiting.skip.sample_bytes, waiting.skip.seen(0)) == (0, 5)


def test_nothing_waits_where_nothing_shall() -> None:
    waiting = Waiting()
    waiting.skip = module().Skip(
        *(len(FIELDS), TIME, HOST, TIE), waiting.lane_of, lambda mask_: program(mask_), waiting.every, False
    )
    waiting.skip.add_stage(mask(CONTINUES), waiting.keys, False, True, (KEY,), (1,))
    waiting.skip.add_opener(mask(OPENS), False, (KEY,), (1,), (0,), SECOND)
    waiting.skip.add_sample(mask(SAMPLES))
    assert waiting.read(event(OPENS), event(SAMPLES), event(CONTINUES)) == [(0, OPENS), (1, SAMPLES)]
    assert waiting.skip.seen(0) == 0


# --- narrowing and reading rows --------------------------------------------------------------------------------------


def test_rows_are_narrowed() -> None:
    waiting = Waiting()
    line = event(CONTINUES | OTHER)
    row = waiting.scanner.read(line)
    assert (row.mask, row.narrowed, row.number, row.before, row.line()) == (None, False, 0, 0, line)
    assert waiting.scanner.narrow(row, mask(CONTINUES | OTHER), waiting.skip) == OTHER
    assert waiting.scanner.narrow(row, mask(CONTINUES), waiting.skip) == 0
    waiting.keys.open(("a",), FAR, 0)
    waiting.lane().until_ns = FAR
    assert waiting.scanner.narrow(row, mask(CONTINUES | OTHER), waiting.skip) == CONTINUES | OTHER
    assert waiting.scanner.narrow(row, mask(OPENS | SAMPLES), waiting.skip) == OPENS | SAMPLES, "rows do not wait"
    for odd in (event(CONTINUES, t=b"0"), event(CONTINUES, t=b"")):
        assert waiting.scanner.narrow(waiting.scanner.read(odd), mask(CONTINUES), waiting.skip) is None
    waiting.lane_of = lambda host: None
    other = waiting.scanner.read(event(CONTINUES, h=b"1"))
    assert waiting.scanner.narrow(other, mask(CONTINUES), waiting.skip) is None


def test_narrowing_nonsense() -> None:
    waiting, other = Waiting(), module().Lane(1)
    row = waiting.scanner.read(event(CONTINUES))
    unread = next(waiting.scanner.scan(b"{ broken"))
    assert (unread.mask, unread.narrowed, unread.line()) == (None, False, b"{ broken")
    small = module().Skip(1, 0, 0, 0, waiting.lane_of, program, other, True)
    wide = module().Skip(len(FIELDS), 0, 0, 0, waiting.lane_of, program, module().Lane(2), True)
    for arguments in (
        (),
        (row, mask(1)),
        (row, 1, waiting.skip),
        (row, b"", waiting.skip),
        (row, bytes(16), waiting.skip),
        (row, mask(1), None),
        (row, mask(1), other),
        (row, mask(1), small),
        (row, mask(1), wide),
        (unread, mask(1), waiting.skip),
        (None, mask(1), waiting.skip),
    ):
        with pytest.raises((TypeError, ValueError)):
            waiting.scanner.narrow(*arguments)
    assert waiting.scanner.narrow(row, mask(OTHER), waiting.skip) == OTHER


@pytest.mark.parametrize("line", ["", "{}", None, 1, bytearray(b"{}"), memoryview(b"{}")])
def test_only_bytes_are_read(line: Any) -> None:
    with pytest.raises(TypeError):
        Waiting().scanner.read(line)


@pytest.mark.parametrize(
    "line", [b"", b" ", b"[]", b"{", b"}", b"{} {}", b" {}", b'{"k":}', b'{"k":1,"k":2}', b'{"k.l":1}', b"\xff", b"\0"]
)
def test_what_is_not_plain_is_not_read(line: bytes) -> None:
    assert Waiting().scanner.read(line) is None


def test_rows_of_one_line_outlive_the_scanner() -> None:
    waiting = Waiting()
    line = event(OPENS, 0, b'["a","b\\n"]')
    row = waiting.scanner.read(line)
    del waiting
    gc.collect()
    assert row.line() is line
    assert (row[KEY], row.time(TIME), row.time(KEY), row.time(99)) == (["a", "b\n"], BEGIN, None, None)
