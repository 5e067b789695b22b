"""Events wait while what the scanner asks raises, asks in turn, or goes: nothing is used that is gone, or kept on."""

from __future__ import annotations

import gc
import itertools
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.asked import (
    BEGIN,
    CONTINUES,
    EARLIEST,
    KEY,
    OPENS,
    OTHER,
    SAMPLES,
    SECOND,
    Waiting,
    event,
    mask,
    module,
    number_of,
    program,
    resident,
)

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


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory in use is read from /proc")
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
    before = resident()
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
    assert resident() - before < 8 << 20
