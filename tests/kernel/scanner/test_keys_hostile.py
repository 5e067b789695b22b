"""Keys that stages wait for, and what the scanner is told of stages: nonsense is refused, and no key is forgotten."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernel.asked import (
    ALL,
    EARLIEST,
    FAR,
    OPENS,
    Waiting,
    event,
    module,
    resident,
)

# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "numbers", [(), (1,), (-1, 1), (1, -1), (1, 2**63), ("1", 1), (None, 1), (1, 1, 1), (1.5, 1)], ids=str
)
def test_keys_of_nonsense(numbers: tuple[Any, ...]) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        module().Keys(*numbers)


def test_a_key_is_a_tuple_of_texts() -> None:
    keys, lane = module().Keys(1, 1), module().Lane(1)
    wrong: list[Any] = ["a", b"a", ["a"], (b"a",), (1,), ("a", None), (("a",),), 1, {}]
    for key in wrong:
        for ask, arguments in ((keys.open, (key, 1, 1)), (keys.until, (key, 1)), (lane.parked, (0, key))):
            with pytest.raises(TypeError):
                ask(*arguments)
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


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory in use is read from /proc")
def test_keys_that_are_over_take_no_room() -> None:
    def filled() -> int:
        keys = module().Keys(1000, 100_000)
        for n in range(200_000):
            keys.open((f"k{n}",), n + 100, n)
        return int(keys.until(("k199999",), 199_999))

    before = resident()
    for _ in range(5):
        assert filled() == 200_099
    assert resident() - before < 8 << 20


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
