"""What the scanner puts aside at the head of a run: none is lost or used when gone, whatever is told meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from tests.kernel.asked import (
    BEGIN,
    CONTINUES,
    EARLIEST,
    FAR,
    OTHER,
    SECOND,
    Waiting,
    event,
    mask,
    module,
    number_of,
    program,
)


def following(maxspan_ns: int = 10 * SECOND, alone: int = CONTINUES) -> Waiting:
    waiting = Waiting()
    waiting.skip.follow(mask(alone), ((maxspan_ns, mask(CONTINUES)),))
    return waiting


def aside(waiting: Waiting, skip: Any = None, wanted: int = CONTINUES) -> list[int]:
    """Give the numbers of events that were put aside."""
    out = []
    while (found := waiting.scanner.aside(skip, waiting.lane(), mask(wanted))) is not None:
        out.append(found[1][2])
    return out


# --- putting aside ---------------------------------------------------------------------------------------------------


def test_the_head_is_put_aside_and_nothing_behind_it() -> None:
    waiting = following()
    lines = [event(CONTINUES, at, b'"%d"' % at) for at in (3, 5, 13, 14, 12, 1)]
    assert waiting.read(*lines) == []
    lane = waiting.lane()
    assert lane.since_ns == BEGIN + 3 * SECOND
    assert lane.first_ns == BEGIN + SECOND
    assert number_of(lane.first) == CONTINUES
    assert lane.aside_bytes > sum(map(len, lines[:3]))
    for _ in range(2):
        assert aside(waiting) == [1, 2, 3, 5, 6]
    assert aside(waiting, wanted=OTHER) == []
    skip = waiting.new_skip()
    waiting.keys.open(("5",), BEGIN + 5 * SECOND, BEGIN)
    waiting.lane().until_ns = FAR
    assert aside(waiting, skip) == [2]
    waiting.scanner.forget_aside(lane)
    assert (lane.aside_bytes, aside(waiting)) == (0, [])
    waiting.lane().until_ns = EARLIEST
    assert waiting.read(event(CONTINUES, 6)) == []
    assert aside(waiting) == [1]


def test_what_is_not_found_alone_stays() -> None:
    waiting = following(alone=0)
    assert waiting.read(event(CONTINUES | OTHER, 1), event(CONTINUES, 12)) == [(0, CONTINUES | OTHER)]
    assert waiting.lane().aside_bytes == 0


@pytest.mark.parametrize("maxspan_ns", [0, FAR])
def test_the_shortest_and_the_longest_head(maxspan_ns: int) -> None:
    waiting = following(maxspan_ns)
    late = event(CONTINUES, 2, t=b'"2250-12-31T23:59:59.999999999Z"')
    assert waiting.read(event(CONTINUES), event(CONTINUES, 0), late) == []
    assert aside(waiting) == ([1, 2, 3] if maxspan_ns else [1, 2])


def test_rows_are_narrowed_without_putting_anything_aside() -> None:
    waiting = following()
    row = waiting.scanner.read(event(CONTINUES | OTHER))
    assert waiting.scanner.narrow(row, mask(CONTINUES | OTHER), waiting.skip) == OTHER
    assert waiting.lane().aside_bytes == 0


# --- nonsense --------------------------------------------------------------------------------------------------------


class Says:
    """A maxspan that does something when it is read."""

    def __init__(self, what: Callable[[], Any]) -> None:
        self._what = what

    def __index__(self) -> int:
        self._what()
        return SECOND


def test_nonsense_before_a_run_is_refused_and_changes_nothing() -> None:
    waiting = Waiting()
    good = (SECOND, mask(CONTINUES))
    for arguments in (
        (),
        (mask(1),),
        (mask(1), [good]),
        (b"", (good,)),
        (bytes(16), (good,)),
        (mask(1), (*(good,) * 40, (SECOND, b""))),
        (mask(1), (*(good,) * 40, SECOND)),
        (mask(1), (*(good,) * 40, ())),
        (mask(1), (*(good,) * 40, (-1, mask(1)))),
        (mask(1), (*(good,) * 40, (2**63, mask(1)))),
    ):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            waiting.skip.follow(*arguments)
    assert waiting.read(event(CONTINUES)) == []
    assert waiting.lane().aside_bytes == 0
    waiting.skip.follow(mask(CONTINUES), (good,))
    with pytest.raises(RuntimeError):
        waiting.skip.follow(mask(CONTINUES), (good,))
    assert waiting.read(event(CONTINUES, 1)) == []
    assert aside(waiting) == [1]


def test_what_comes_before_is_said_while_it_is_said() -> None:
    waiting = Waiting()
    good = (SECOND, mask(CONTINUES))
    says = Says(lambda: waiting.skip.follow(mask(CONTINUES), (good,)))
    with pytest.raises(RuntimeError):
        waiting.skip.follow(mask(CONTINUES), (*(good,) * 40, (says, mask(CONTINUES))))
    assert waiting.read(event(CONTINUES, 1)) == []
    assert aside(waiting) == [1]


def test_nonsense_about_what_was_put_aside() -> None:
    waiting = following()
    waiting.read(event(CONTINUES), event(CONTINUES, 1))
    lane, wide = waiting.lane(), module().Lane(2)
    small = module().Skip(1, 0, 0, 0, waiting.lane_of, program, module().Lane(1), True)
    for arguments in (
        (),
        (None, lane),
        (None, None, mask(1)),
        (1, lane, mask(1)),
        (small, lane, mask(1)),
        (None, wide, mask(1)),
        (None, lane, b""),
        (None, lane, CONTINUES),
    ):
        with pytest.raises((TypeError, ValueError)):
            waiting.scanner.aside(*arguments)
    for other in (None, wide, waiting.skip):
        with pytest.raises(TypeError):
            waiting.scanner.forget_aside(other)
    assert aside(waiting) == [1, 2]


# --- what is asked, and what it does ---------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["program", "lane_of"])
def test_an_error_is_told_and_the_event_is_given_again(place: str) -> None:
    waiting = following()
    waiting.read(event(CONTINUES), event(CONTINUES | OTHER, 1))
    waiting.keys.open(("a",), FAR, 0)
    lane, skip, usual = waiting.lane(), waiting.new_skip(), getattr(waiting, place)
    lane.until_ns = FAR

    def failing(*_: Any) -> Any:
        raise KeyError

    setattr(waiting, place, failing)
    for _ in range(2):
        with pytest.raises(KeyError):
            waiting.scanner.aside(skip, lane, mask(CONTINUES))
    setattr(waiting, place, usual)
    assert aside(waiting, skip) == [1, 2]


def test_two_scanners_that_share_what_was_put_aside() -> None:
    """One cannot forget what Python is asked about for the other."""
    waiting, other = following(), Waiting()
    waiting.read(*(event(CONTINUES, n) for n in range(5)))
    lane = waiting.lane()
    refused: list[Any] = []

    def lane_of(host: bytes | None) -> Any:
        for ask in (
            lambda: other.scanner.forget_aside(lane),
            lambda: other.scanner.aside(None, lane, mask(CONTINUES)),
            lambda: other.scanner.turns(lane, FAR),
        ):
            with pytest.raises(RuntimeError):
                ask()
            refused.append(host)
        gc.collect()
        return lane

    skip = waiting.new_skip()
    waiting.lane_of = lane_of
    waiting.keys.open(("a",), FAR, 0)
    lane.until_ns = FAR
    assert aside(waiting, skip) == [1, 2, 3, 4, 5]
    assert len(refused) == 3
    other.scanner.forget_aside(lane)
    assert lane.aside_bytes == 0


@pytest.mark.parametrize("place", ["number", "program"])
@pytest.mark.parametrize("first", [True, False])
def test_two_scanners_that_share_what_waits_for_its_turn(place: str, first: bool) -> None:
    """One cannot take what Python is asked about for the other, and each host that has changed is looked at."""
    waiting, other = Waiting(), Waiting()
    waiting.skip.wait(mask(CONTINUES), mask(0), SECOND)
    lanes = {b'"%s"' % name.encode(): module().Lane(1, name) for name in "xyz"}
    waiting.lane_of = lambda host: lanes[host or b""]
    lane, usual = lanes[b'"x"'], getattr(waiting, place)
    refused: list[str] = []

    def again(given_: Any) -> Any:
        for ask in (
            lambda: other.scanner.turns(lane, FAR),
            lambda: other.scanner.turn(waiting.skip, lane, FAR),
            lambda: other.scanner.tell(waiting.skip, lane, BEGIN),
        ):
            with pytest.raises(RuntimeError):
                ask()
            refused.append(place)
        for name in (b'"y"', b'"z"'):
            other.scanner.tell(waiting.skip, lanes[name], BEGIN)
        return usual(given_)

    assert waiting.read(*(event(CONTINUES | OTHER, n) for n in range(5))) == [(n, OTHER) for n in range(5)]
    waiting.keys.open(("a",), FAR, 0)
    lane.until_ns = FAR
    setattr(waiting, place, again)
    if first:
        names = []
        while (name := waiting.scanner.changed(waiting.skip)) is not None:
            names.append(name)
        assert names == ["x"]
    found = [waiting.scanner.turn(waiting.skip, lane, FAR) for _ in range(6)]
    assert [one and one[1][2] for one in found] == [1, 2, 3, 4, 5, None]
    assert len(refused) == 3


@pytest.mark.parametrize("place", ["number", "program"])
def test_a_host_is_looked_at_again_after_an_error(place: str) -> None:
    waiting = Waiting()
    waiting.skip.wait(mask(CONTINUES), mask(0), SECOND)
    waiting.lane_of = lambda host: waiting.lanes.setdefault(host, module().Lane(1, "x"))
    usual = getattr(waiting, place)

    def failing(*_: Any) -> Any:
        raise KeyError

    assert waiting.read(*(event(CONTINUES | OTHER, n) for n in range(5))) == [(n, OTHER) for n in range(5)]
    waiting.keys.open(("a",), FAR, 0)
    waiting.lane().until_ns = FAR
    setattr(waiting, place, failing)
    for _ in range(2):
        with pytest.raises(KeyError):
            waiting.scanner.changed(waiting.skip)
    setattr(waiting, place, usual)
    assert waiting.scanner.changed(waiting.skip) == "x"
    assert waiting.scanner.changed(waiting.skip) is None
    assert [waiting.scanner.turn(waiting.skip, waiting.lane(), FAR)[1][2] for _ in range(5)] == [1, 2, 3, 4, 5]
