"""Events that wait in the scanner: none is lost, mixed up, kept for ever, or used when gone, whatever is told."""

from __future__ import annotations

import gc
import itertools
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxspan.engine.kernel import native
from tests.kernel.asked import ALL, FAR, decoded, mask, number_of

pytestmark = pytest.mark.skipif(
    native.scan is None, reason="the compiled part of the kernel is not there: it needs a C compiler at installation"
)

EARLIEST = -(2**63)
SECOND = 10**9
#: 2024-05-01T10:00:00Z
BEGIN = 1_714_557_600 * SECOND
#: the value of `v` is the mask: an event that begins a sequence, continues one, is of a sample, is looked at
OPENS, CONTINUES, SAMPLES, OTHER = 1, 2, 4, 8
FIELDS = ("h", "k", "l", "n", "t", "v")
HOST, KEY, SECOND_KEY, TIE, TIME, VALUE = range(6)


@pytest.fixture(autouse=True, scope="module")
def way() -> Iterator[None]:
    """Run once: this is about the compiled part alone."""
    yield


def module() -> Any:
    assert native.scan is not None
    return native.scan


def program(mask_: int) -> Any:
    opens = (0,) if mask_ & OPENS and not mask_ & CONTINUES else ()
    samples = (0,) if mask_ & SAMPLES else ()
    return (0,) if mask_ & CONTINUES else (), opens, samples, (5,) * len(samples)


class Waiting:
    """A scanner with one sequence by `k`, or other fields, and one sample."""

    def __init__(
        self,
        by: Sequence[int] = (KEY,),
        *,
        required: Sequence[int] | None = None,
        maxspan_ns: int = 10 * SECOND,
        across: bool = False,
        keys: Any = None,
    ) -> None:
        self.lanes: dict[bytes | None, Any] = {}
        self.lane_of: Callable[[bytes | None], Any] = lambda host: self.lanes.setdefault(host, module().Lane(1))
        self.program: Callable[[int], Any] = program
        self.number: Callable[[bytes], int] = number_of
        answers = (
            *(lambda row: 0, lambda row: 0, lambda n, text: mask(decoded(text or b"0")), lambda n, atoms: mask(0)),
            *(lambda mask_: self.number(mask_), decoded),
        )
        self.scanner = module().Scanner(FIELDS, (), ((VALUE, ALL, None),), 1, *answers)
        self.scanner.add_plan(ALL, (0,))
        self.every = module().Lane(1)
        self.keys = keys or module().Keys(100, 1000)
        self.by, self.flags = tuple(by), tuple(required if required is not None else (1,) * len(by))
        self.maxspan_ns, self.across = maxspan_ns, across
        self.skip = self.new_skip()

    def new_skip(self) -> Any:
        skip = module().Skip(
            *(len(FIELDS), TIME, HOST, TIE),
            *(lambda host: self.lane_of(host), lambda mask_: self.program(mask_), self.every, True),
        )
        skip.add_stage(mask(CONTINUES), self.keys, self.across, True, self.by, self.flags)
        skip.add_opener(mask(OPENS), self.across, self.by, self.flags, (0,), self.maxspan_ns)
        skip.add_sample(mask(SAMPLES))
        return skip

    def read(self, *lines: bytes, path: Any = "p", first: int = 1, position: int = 0) -> list[tuple[int, int]]:
        """Give the number and the mask of each event that does not wait."""
        scan = self.scanner.scan(b"\n".join(lines), self.skip, path, first, position)
        return [(row.number, row.mask) for row in scan]

    def lane(self, host: str | None = "x") -> Any:
        return self.lanes[None if host is None else b'"%s"' % host.encode()]

    def parked(self, texts: tuple[str, ...] | None, host: str | None = "x") -> list[tuple[int, int]]:
        """Take events that wait: their numbers and positions."""
        return [(event[2], event[3]) for event in self.lane(host).parked(0, texts)]


def event(v: int, at: float = 0, k: bytes = b'"a"', h: bytes = b'"x"', **more: bytes) -> bytes:
    seconds = divmod(round(at * 1000), 1000)
    time = b"2024-05-01T10:%02d:%02d.%03dZ" % (*divmod(seconds[0], 60), seconds[1])
    parts = {"t": b'"%s"' % time, "h": h, "k": k, "v": b"%d" % v, **more}
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in parts.items() if value) + b"}"


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "numbers", [(), (1,), (-1, 1), (1, -1), (1, 2**63), ("1", 1), (None, 1), (1, 1, 1), (1.5, 1)], ids=str
)
def test_keys_of_nonsense(numbers: tuple[Any, ...]) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        module().Keys(*numbers)


def test_a_key_is_a_tuple_of_texts() -> None:
    keys, lane = module().Keys(1, 1), module().Lane(1)
    for texts in ("a", b"a", ["a"], (b"a",), (1,), ("a", None), (("a",),), 1, {}):
        for ask in (lambda t: keys.open(t, 1, 1), lambda t: keys.until(t, 1), lambda t: lane.parked(0, t)):
            with pytest.raises(TypeError):
                ask(texts)
    for times in ((2**63, 0), (0, 2**63), (-(2**63) - 1, 0), ("0", 0), (0, None), (0.5, 0)):
        with pytest.raises((OverflowError, TypeError)):
            keys.open(("a",), *times)
    assert keys.latest_ns == EARLIEST
    with pytest.raises(AttributeError):
        keys.latest_ns = 1


def test_keys_at_the_ends_of_time() -> None:
    keys = module().Keys(0, 10)
    assert keys.until(("a",), 0) == EARLIEST
    assert keys.until(("a",), EARLIEST) == FAR, "what has been forgotten by then is not known"
    keys.open(("a",), FAR, EARLIEST)
    assert (keys.until(("a",), FAR), keys.until(("b",), FAR), keys.until(None, FAR)) == (FAR, EARLIEST, EARLIEST)
    for name in ("b", "c", "d"):
        keys.open((name,), EARLIEST, FAR)
    assert keys.until(("b",), FAR) == keys.until(None, 0) == FAR, "forgotten"


texts = st.tuples(st.text('ab"\\\u00e4\ud800\0', max_size=3), st.text("ab", max_size=2))
times = st.one_of(st.integers(0, 20), st.sampled_from([EARLIEST, FAR, -5]))


@given(
    st.integers(0, 4),
    st.integers(0, 6),
    st.lists(st.tuples(st.none() | texts, times, times), max_size=30),
    st.lists(st.tuples(st.none() | texts, times), max_size=10),
)
def test_no_key_that_is_open_is_said_to_be_closed(
    least: int,
    most: int,
    opened: list[tuple[Any, int, int]],
    asked: list[tuple[Any, int]],
) -> None:
    keys = module().Keys(least, most)
    known: dict[Any, int] = {}
    for key, until_ns, now_ns in opened:
        keys.open(key, until_ns, now_ns)
        known[key] = max(known.get(key, EARLIEST), until_ns)
    assert keys.latest_ns == max(known.values(), default=EARLIEST)
    for key, now_ns in [*asked, *((key, now_ns) for key, until_ns, now_ns in opened)]:
        until_ns = max(known.get(key, EARLIEST), known.get(None, EARLIEST))
        if now_ns <= until_ns:
            assert now_ns <= keys.until(key, now_ns)
        if now_ns > keys.latest_ns:
            assert keys.until(key, now_ns) == EARLIEST
    if least > len(opened):
        for key, now_ns in asked:
            if EARLIEST < now_ns <= keys.latest_ns:
                expected = max(known.get(key, EARLIEST), known.get(None, EARLIEST))
                assert keys.until(key, now_ns) == expected


def test_texts_are_told_apart_where_they_are_joined() -> None:
    keys = module().Keys(1000, 1000)
    opened = [("a", "b"), ("ab", ""), ("", "ab"), ("b", "a"), ("a",), (), ("a", "b", "")]
    for until_ns, key in enumerate(opened, 1):
        keys.open(key, until_ns, 0)
    assert [keys.until(key, 0) for key in opened] == list(range(1, len(opened) + 1))
    others = [("",), ("b",), ('a"', '"b'), ('a","b',), ("a", "b", "", "")]
    assert [keys.until(key, 0) for key in others] == [EARLIEST] * len(others)


@pytest.mark.parametrize(("least", "most"), [(1000, 50_000), (0, 50_000), (100, 1000)])
def test_thousands_of_keys(least: int, most: int) -> None:
    keys = module().Keys(least, most)
    for n in range(20_000):
        keys.open((f"k{n}",), n + 100, n)
    for n in range(19_900, 20_000):
        assert keys.until((f"k{n}",), 19_999) >= n + 100
    if most == 50_000:
        assert keys.until(("k19999",), 19_999) == 20_099
        assert keys.until(("other",), 19_999) == EARLIEST
        assert keys.until(("k5",), 19_999) < 19_999
    for n in range(0, 20_000, 100):
        assert keys.until((f"k{n}",), n + 100) >= n + 100, "an earlier event may continue it"


def test_keys_that_are_over_take_no_room() -> None:
    def filled() -> int:
        keys = module().Keys(1000, 100_000)
        for n in range(200_000):
            keys.open((f"k{n}",), n + 100, n)
        return int(keys.until(("k199999",), 199_999))

    before = _resident()
    for _ in range(5):
        assert filled() == 200_099
    assert _resident() - before < 8 << 20


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


# --- what is added to a Skip -----------------------------------------------------------------------------------------


def test_stages_openers_and_samples_of_nonsense() -> None:
    skip, keys = Waiting().skip, module().Keys(1, 1)
    wrong: list[tuple[str, tuple[Any, ...]]] = [
        ("add_stage", ()),
        ("add_stage", (b"", keys, False, False, (), ())),
        ("add_stage", (bytes(16), keys, False, False, (), ())),
        ("add_stage", ("12345678", 1, False, False, (), ())),
        ("add_stage", (ALL, None, False, False, (), ())),
        ("add_stage", (ALL, module().Lane(1), False, False, (), ())),
        ("add_stage", (ALL, keys, False, True, [0], (1,))),
        ("add_stage", (ALL, keys, False, True, (6,), (1,))),
        ("add_stage", (ALL, keys, False, True, (-1,), (1,))),
        ("add_stage", (ALL, keys, False, True, (2**70,), (1,))),
        ("add_stage", (ALL, keys, False, True, (0, 1), (1,))),
        ("add_stage", (ALL, keys, False, True, (0,), (2,))),
        ("add_stage", (ALL, keys, False, True, (0,), None)),
        ("add_opener", (bytes(7), False, (), (), (), 0)),
        ("add_opener", (ALL, False, (6,), (1,), (0,), 0)),
        ("add_opener", (ALL, False, (0,), (), (0,), 0)),
        ("add_opener", (ALL, False, (0,), (1,), (1,), 0)),
        ("add_opener", (ALL, False, (0,), (1,), [0], 0)),
        ("add_opener", (ALL, False, (0,), (1,), (0,), -1)),
        ("add_opener", (ALL, False, (0,), (1,), (0,), 2**63)),
        ("add_opener", (ALL, False, (0,), (1,), ("0",), 0)),
        ("add_sample", (b"",)),
        ("add_sample", ("12345678",)),
        ("add_sample", (None,)),
        *(("seen", (number,)) for number in (1, -1, 2**70, "0", None, 0.5)),
        *(("sampled", (number,)) for number in (1, -1, 2**70, "0", None, 0.5)),
    ]
    before = sys.getrefcount(keys)
    for name, arguments in wrong:
        with pytest.raises((TypeError, ValueError, OverflowError, IndexError)):
            getattr(skip, name)(*arguments)
    assert sys.getrefcount(keys) == before
    skip.add_stage(ALL, keys, False, True, (0,), (1,))
    skip.add_opener(ALL, False, (0,), (1,), (0, 1, 1, 1), FAR)
    assert sys.getrefcount(keys) == before + 1
    del skip
    gc.collect()
    assert sys.getrefcount(keys) == before


def test_scans_of_nonsense() -> None:
    waiting = Waiting()
    for arguments in (
        (b"", waiting.skip, 1),
        (b"", waiting.skip, b"p"),
        (b"", waiting.skip, "p", "1"),
        (b"", waiting.skip, "p", 2**63),
        (b"", waiting.skip, "p", 1, None),
        (b"", waiting.skip, "p", 1, 0, 0),
        (b"", waiting.lane_of(None)),
    ):
        with pytest.raises((TypeError, OverflowError)):
            waiting.scanner.scan(*arguments)
    scan = waiting.scanner.scan(event(OPENS), waiting.skip, "p", FAR, FAR)
    for wrong in (2**63, "1", None):
        with pytest.raises((TypeError, OverflowError)):
            scan.position = wrong
    with pytest.raises((TypeError, AttributeError)):
        del scan.position
    scan.position = FAR
    assert list(scan) == []
    assert waiting.parked(None) == [(FAR, FAR)]
    assert waiting.read(event(OPENS, 1), event(OPENS, 1), first=FAR, position=FAR) == []
    assert waiting.parked(None)[0] == (FAR, FAR)


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


# --- what is asked, and what it does ---------------------------------------------------------------------------------


class Odd(Exception):
    """Raised by what the scanner asks."""


def failing(*_: Any) -> Any:
    raise Odd


@pytest.mark.parametrize("place", ["number", "program", "lane_of"])
@pytest.mark.parametrize("v", [OPENS, CONTINUES, OPENS | OTHER, CONTINUES | SAMPLES])
def test_errors_are_told_and_the_next_event_is_taken(place: str, v: int) -> None:
    waiting = Waiting()
    usual = getattr(waiting, place)
    setattr(waiting, place, failing)
    scan = waiting.scanner.scan(event(v) + b"\n" + event(v, 1), waiting.skip, "p", 1, 0)
    with pytest.raises(Odd):
        next(scan)
    row = waiting.scanner.read(event(CONTINUES))
    with pytest.raises(Odd):
        waiting.scanner.narrow(row, mask(v | CONTINUES | 32), waiting.skip)
    setattr(waiting, place, usual)
    assert [row.mask for row in scan] == ([OTHER] if v & OTHER else [])
    assert [event[2] for event in waiting.lane().parked(0, None)] == ([2] if v & OPENS else [])


@pytest.mark.parametrize("place", ["number", "program", "lane_of"])
def test_what_is_asked_may_ask_for_anything(place: str) -> None:
    """The scanner refuses what would change under its hands; all else may be changed."""
    waiting = Waiting()
    usual = getattr(waiting, place)
    row = waiting.scanner.read(event(CONTINUES, 5))
    refused: list[str] = []
    calls = itertools.count()

    def again(*given_: Any) -> Any:
        number = next(calls)
        for ask in (
            lambda: next(waiting.scanner.scan(event(OPENS, 7), waiting.skip)),
            lambda: waiting.scanner.narrow(row, mask(CONTINUES), waiting.skip),
            lambda: waiting.scanner.read(event(OPENS)),
        ):
            try:
                ask()
            except RuntimeError as error:
                refused.append(str(error))
        for n in range(50):
            waiting.skip.add_stage(mask(16), waiting.keys, False, True, (KEY,), (1,))
            waiting.skip.add_opener(mask(16), False, (KEY,), (1,), (0, n), SECOND)
            waiting.skip.add_sample(mask(16))
            waiting.keys.open((f"{number} {n}",), BEGIN + n, BEGIN)
        for lane in [*waiting.lanes.values(), waiting.every]:
            lane.parked(0, None)
        waiting.skip.sampled(0)
        row.line()
        gc.collect()
        return usual(*given_)

    setattr(waiting, place, again)
    lines = [event(v, n, h=b'"h%d"' % n) for n, v in enumerate((OPENS, CONTINUES, OPENS | SAMPLES, OPENS | OTHER))]
    found = waiting.read(*lines)
    assert [mask_ for _, mask_ in found if mask_ & OTHER] == [OTHER]
    assert waiting.scanner.narrow(row, mask(CONTINUES | 64), waiting.skip) in (64, CONTINUES | 64)
    assert len(refused) == 3 * next(calls)


def test_two_scanners_that_share_what_they_pass_over() -> None:
    """Hosts are forgotten while an event of one of them is looked at."""
    waiting, other = Waiting(), Waiting()
    long = [event(OPENS, n, h=b'"%d%s"' % (n, b"h" * 900_000)) for n in range(20)]
    busy: list[int] = []

    def number(mask_: bytes) -> int:
        if not busy:
            busy.append(1)
            for line in long:
                list(other.scanner.scan(line, waiting.skip, "p", 1, 0))
            waiting.lanes.clear()
            gc.collect()
        return number_of(mask_)

    waiting.lane_of = lambda host: module().Lane(1)
    waiting.read(event(OPENS | CONTINUES, 0), event(CONTINUES, 1))
    waiting.number = number
    assert waiting.read(event(CONTINUES | OTHER | OPENS, 2), event(OPENS, 3)) == [(0, OTHER | OPENS)]


def test_one_scanner_with_two_things_to_pass_over() -> None:
    """What a mask has is asked for each of them: their numbers are not the same."""
    waiting = Waiting()
    first = waiting.skip
    for _ in range(20):
        first.add_stage(mask(CONTINUES), waiting.keys, False, True, (KEY,), (1,))
        first.add_opener(mask(OPENS), False, (KEY,), (1,), (0,), SECOND)
    first_program = ((20,), (), (), ()), ((), (20,), (), ())
    waiting.program = lambda mask_: first_program[0] if mask_ & CONTINUES else first_program[1]
    assert waiting.read(event(OPENS, 0), event(CONTINUES, 0, b'"b"')) == []
    assert len(waiting.lane().parked(20, None)) == 1
    for n in range(5):
        waiting.skip, waiting.program = waiting.new_skip(), program
        assert waiting.read(event(OPENS, n + 1), event(CONTINUES, n + 1, b'"c"')) == []
        assert waiting.parked(("a",)) == [(1, 0)]


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_paths_are_let_go(taken: int) -> None:
    waiting = Waiting()
    path = "a path that nothing else is" + str(taken)
    before = sys.getrefcount(path)
    lines = [event(OPENS | SAMPLES, n, b'"%d"' % n) for n in range(5)]
    assert waiting.read(*lines, path=path) == []
    assert sys.getrefcount(path) == before + 10
    kept = [waiting.lane().parked(0, (str(n),)) for n in range(taken)]
    assert [one[0][1] for one in kept] == [path] * taken
    assert sys.getrefcount(path) == before + 10
    del kept
    assert sys.getrefcount(path) == before + 10 - taken
    waiting.skip.sampled(0)
    assert sys.getrefcount(path) == before + 5 - taken
    if taken == 1:
        waiting.read(event(OPENS, 600))
        assert waiting.lane().dropped_ns > EARLIEST
        waiting.parked(None)
    del waiting
    gc.collect()
    assert sys.getrefcount(path) == before


class Named(str):
    """A path that does something when it goes."""

    gone: Callable[[], None]

    def __del__(self) -> None:
        self.gone()


def test_paths_with_finalizers_do_not_wait() -> None:
    waiting = Waiting()
    gone: list[int] = []
    path = Named("p")
    path.gone = lambda: gone.append(len(waiting.lane().parked(0, None)))
    waiting.read(*(event(OPENS, n) for n in range(5)), path=path)
    del path
    assert gone == [5], "it went with the last reference of ours"
    assert waiting.lane().bytes == 0


def test_skips_and_lanes_that_go_while_a_scan_is_alive() -> None:
    waiting = Waiting()
    lines = [event(OPENS, n) for n in range(5)] + [event(OTHER, 5)] + [event(OPENS, n) for n in range(6, 9)]
    scan = waiting.scanner.scan(b"\n".join([*lines, event(OTHER, 9)]), waiting.skip, "p", 1, 0)
    assert next(scan).number == 5
    lane = waiting.lane()
    del waiting
    gc.collect()
    assert [row.number for row in scan] == [9]
    del scan
    gc.collect()
    assert [event[2] for event in lane.parked(0, None)] == [1, 2, 3, 4, 5, 7, 8, 9]


def test_a_skip_in_a_cycle_is_let_go() -> None:
    waiting = Waiting()
    waiting.read(event(OPENS | SAMPLES))
    path = "another path of its own"
    before = sys.getrefcount(path)
    waiting.read(event(OPENS | SAMPLES, 1), path=path)
    assert sys.getrefcount(path) == before + 2
    waiting.lane_of = lambda host, all_=waiting: all_  # type: ignore[misc]
    del waiting
    gc.collect()
    assert sys.getrefcount(path) == before


def test_memory_does_not_grow() -> None:
    waiting = Waiting(maxspan_ns=SECOND)
    counter = itertools.count()

    def chunk() -> None:
        n = next(counter)
        lines = [
            event(OPENS | SAMPLES, n * 5 + m / 20, b'["%d","%d"]' % (m, n), h=b'"%d"' % (m % 3)) for m in range(100)
        ]
        assert waiting.read(*lines) == []
        waiting.skip.sampled(0)
        row = waiting.scanner.read(lines[0])
        waiting.scanner.narrow(row, mask(CONTINUES), waiting.skip)
        for lane in waiting.lanes.values():
            assert lane.bytes < 1_000_000

    for _ in range(50):
        chunk()
    tracemalloc.start()
    before = _resident()
    for _ in range(50):
        chunk()
    gc.collect()
    first = tracemalloc.get_traced_memory()[0]
    for _ in range(600):
        chunk()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - first
    tracemalloc.stop()
    assert grown < 50_000
    assert _resident() - before < 8 << 20
