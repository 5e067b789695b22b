"""What the compiled scanner must not do, whatever it reads or is told: crash, remember without end, answer wrongly."""

from __future__ import annotations

import gc
import importlib.util
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maxspan
from maxspan.engine.kernel import native
from maxspan.engine.kernel.compiled import CompiledRules
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.reference.detector import ReferenceDetector
from maxspan.languages.eql.patterns import wildcard_test
from maxspan.rules.model import Rule
from maxspan.sources.chunk import Chunk
from tests.kernel.asked import ALL, FAR, LATER, Asked, decoded, mask, number_of, skip_of

# --- what is remembered ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [3, 100_000])
def test_more_values_and_answers_than_are_kept(kinds: int) -> None:
    """More values, kinds of answers and masks than are kept: each is right, and is asked anew once forgotten."""
    asked = Asked()
    asked.answer = lambda value: 7 if value is None else value % kinds + 1
    numbers = list(range(50_500))
    lines = [b'{"v":%d}' % n for n in numbers]
    expected: list[int | None] = [n % kinds + 1 for n in numbers]
    for n in range(0, len(lines), 1000):
        lines.insert(n, b"{}")
        expected.insert(n, 7)
    assert asked.masks(*lines) == expected
    first = len(asked.values)
    assert 50_501 <= first <= 50_510
    assert asked.masks(*lines[-400:]) == expected[-400:]
    assert len(asked.values) == first, "what came last is known"
    assert asked.masks(*lines[:2000]) == expected[:2000]
    assert len(asked.values) >= first + 1990, "what came first was forgotten"


def test_more_kinds_of_texts_than_are_kept() -> None:
    words = tuple((b"w%d" % n, (n,)) for n in range(15))
    asked = Asked((15, (), words, (), ()))
    chosen = [n * 7919 % 32768 or 1 for n in range(25_000)]
    lines = [b'{"v":[%s]}' % b",".join(b'"w%d"' % n for n in range(15) if one >> n & 1) for one in chosen]
    for _ in range(2):
        assert asked.masks(*lines) == chosen
    assert 25_000 < len(asked.atoms) <= 50_000
    assert asked.values == []


def test_long_values_are_kept_up_to_a_bound() -> None:
    asked = Asked()
    asked.answer = lambda value: int(value[:3]) + 1
    lines = [b'{"v":"%03d%s"}' % (n, b"x" * 60_000) for n in range(100)]
    longer = b'{"v":"007%s"}' % (b"x" * 70_000)
    assert asked.masks(*lines, longer, longer, longer) == [*range(1, 101), 8, 8, 8]
    assert len(asked.values) == 103, "the longest are not kept"
    assert asked.masks(lines[99], lines[0]) == [100, 1]
    assert len(asked.values) == 104


def test_long_and_many_first_values() -> None:
    asked = Asked()
    assert asked.masks(*[b'{"g":"%d"}' % n for n in range(21_000)]) == [1] * 21_000
    assert asked.roots == 21_000
    for length, times in ((996, 1), (997, 1), (998, 2), (999, 2), (5000, 2)):
        before = asked.roots
        line = b'{"g":"%s"}' % (b"x" * length)
        assert asked.masks(line, line) == [1, 1]
        assert asked.roots - before == times, length


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory in use is read from /proc")
def test_what_a_very_long_text_needs_is_given_back() -> None:
    def pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    assert native.scan is not None
    texts = 1, (), (), (), ((b"*x*y", True, (0,)),)
    names = tuple(f"v{n}" for n in range(8))
    answers = (lambda row: 0, lambda row: 1, lambda n, text: ALL, lambda n, atoms: ALL, number_of, decoded)
    scanner = native.scan.Scanner(names, (), tuple((n, ALL, texts) for n in range(8)), 1, *answers)
    scanner.add_plan(ALL, tuple(range(8)))
    before = pages()
    for name in names:
        assert len(list(scanner.scan(b'{"%s":"x%s"}' % (name.encode(), b"q" * (8 << 20))))) == 1
    assert (pages() - before) * 4096 < 48 << 20


def test_long_lines_are_not_kept_while_events_are_gathered() -> None:
    rules = [Rule(id="0", name="0", type="eql", plan=maxspan.parse('any where v : "x*y" and w == "q"'))]
    detector = KernelDetector(rules)
    tracemalloc.start()
    try:
        for n in range(40):
            line = b'{"v":"x","w":"%s","z":"%s"}' % (b"q" if n == 39 else b"p", b"z" * (1 << 20))
            assert detector.feed(Chunk(line)) == []
        assert tracemalloc.get_traced_memory()[0] < 4 << 20
    finally:
        tracemalloc.stop()
    assert len(detector.feed(Chunk(b'{"v":"x-y","w":"q","z":"%s"}' % (b"z" * (1 << 20))))) == 1


# --- wildcards -------------------------------------------------------------------------------------------------------

letters = st.text("abAB*?\\", max_size=6)
patterns = st.lists(st.tuples(letters.filter(lambda text: "*" in text or "?" in text), st.booleans()), max_size=12)


@given(patterns, st.lists(st.text("abABc\\\n\0", max_size=12), min_size=1, max_size=6), st.booleans())
def test_wildcards_are_those_of_the_language(given_: list[tuple[str, bool]], texts: list[str], in_list: bool) -> None:
    """Texts share their ends and beginnings: what one finding leads to must not hide another."""
    wildcards = tuple(
        ((text.lower() if folded else text).encode(), folded, (n,)) for n, (text, folded) in enumerate(given_)
    )
    asked = Asked((len(given_) + 1, (len(given_),), (), (), wildcards))
    tests = [wildcard_test(text, insensitive=folded) for text, folded in given_]
    held = [(1 << len(given_)) + sum(1 << n for n, test in enumerate(tests) if test(text)) for text in texts]
    if in_list:
        together = 0
        for one in held:
            together |= one
        assert asked.masks({"v": texts}) == [together]
    else:
        assert asked.masks(*({"v": text} for text in texts)) == held
    assert asked.values == []


def test_texts_that_python_has_to_look_at() -> None:
    asked = Asked((1, (0,), (), (), ()))
    others = [None, [], [None], ["a", None], ["a", 1], "\u00e9", ["a", "\u00e9"], 1, True]
    assert asked.masks(*({"v": value} for value in others)) == [1] * len(others)
    assert [decoded(text) for text in asked.values if text is not None] == others
    assert asked.masks({"v": "a"}, {"v": ["a", "b"]}, {"v": "\0"}) == [1, 1, 1]
    assert len(asked.values) == len(others)


def test_a_second_import_hides_nothing_from_the_first() -> None:
    words = tuple((b"word %d" % n, (0,)) for n in range(40))
    asked = Asked((1, (), words, (), ()))
    assert native.scan is not None and native.scan.__file__ is not None
    spec = importlib.util.spec_from_file_location(native.scan.__name__, native.scan.__file__)
    assert spec is not None and spec.loader is not None
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    for one in (asked, Asked((1, (), words, (), ()), module=other)):
        assert one.masks(*({"v": f"word {n}"} for n in range(40))) == [1] * 40
    with pytest.raises(TypeError):
        asked.scanner.scan(b"", skip_of(lambda host: None, module=other))


# --- what goes wrong in Python ---------------------------------------------------------------------------------------


class Odd(Exception):
    """Raised by what the scanner asks."""


def failing(*_: Any) -> Any:
    raise Odd


@pytest.mark.parametrize("place", range(6), ids=["root", "gather", "value", "held", "number", "decode"])
def test_errors_of_what_is_asked_are_told_and_the_next_line_is_read(place: int) -> None:
    assert native.scan is not None
    broken = True

    def once(answer: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given_: failing() if broken else answer(*given_)

    plans = {1: -1}.get(place, 0)
    answers: list[Callable[..., Any]] = [
        *(lambda row: plans, lambda row: 1, lambda n, text: mask(1), lambda n, atoms: mask(1)),
        *(number_of, decoded),
    ]
    answers[place] = once(answers[place])
    texts = (1, (), (), (), ()) if place == 3 else None
    scanner = native.scan.Scanner(("g", "v"), (0,), ((1, ALL, texts),), 1, *answers)
    scanner.add_plan(ALL, (0,))
    line = b'{"g":"a","v":"b\\n"}'
    scan = scanner.scan(b"\n".join([line] * 3))
    with pytest.raises(Odd):
        next(scan)[1]
    broken = False
    row = next(scan)
    assert (row.mask, row.number, row[1]) == (1, 1, "b\n")
    assert [row.number for row in scan] == [2]
    assert [row.mask for row in scanner.scan(line)] == [1]


def test_errors_of_what_is_passed_over() -> None:
    assert native.scan is not None
    lane = native.scan.Lane(1)
    answers: dict[str, Any] = {"lane": failing, "program": failing}
    every = native.scan.Lane(1)
    skip = skip_of(lambda host: answers["lane"](host), lambda mask_: answers["program"](mask_), every=every)
    asked = Asked()
    line = b'{"g":"2024-05-01T10:00:00Z","v":"h"}'
    for name, wrong in (("program", failing), ("lane", failing), ("lane", lambda host: 1)):
        answers |= {"lane": lambda host: lane, "program": lambda mask_: LATER, name: wrong}
        with pytest.raises((Odd, TypeError)):
            next(asked.scanner.scan(line, skip))
    answers["lane"] = lambda host: native.scan.Lane(2) if native.scan is not None else None
    with pytest.raises(TypeError):
        next(asked.scanner.scan(line, skip))
    answers["lane"] = lambda host: None
    assert [row.narrowed for row in asked.scanner.scan(line, skip)] == [False]
    answers["lane"] = lambda host: lane
    assert list(asked.scanner.scan(line, skip)) == []
    assert lane.passed == mask(1)
    assert every.passed == mask(0)


PROGRAMS: dict[str, Any] = {
    "none": None,
    "a list": [(), (), (), ()],
    "too short": ((), (), ()),
    "too long": ((), (), (), (), ()),
    "no such stage": ((1,), (), (), ()),
    "no such opener": ((), (0,), (), ()),
    "no such sample": ((), (), (0,), (1,)),
    "a stage below": ((-1,), (), (), ()),
    "a huge stage": ((2**80,), (), (), ()),
    "texts": (("0",), (), (), ()),
    "roles of nothing": ((), (), (), (1,)),
    "no tuple of roles": ((), (), (), [1]),
    "no tuple of stages": ([0], (), (), ()),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=list(PROGRAMS))
def test_programs_of_nonsense(program: Any) -> None:
    assert native.scan is not None
    lane = native.scan.Lane(1)
    answers = [program]
    skip = skip_of(lambda host: lane, lambda mask_: answers[0])
    asked = Asked()
    line = b'{"g":"2024-05-01T10:00:00Z","v":"h"}'
    with pytest.raises((TypeError, ValueError, OverflowError, SystemError)):
        next(asked.scanner.scan(line, skip))
    answers[0] = LATER
    assert list(asked.scanner.scan(line, skip)) == []


def test_what_joins_across_hosts_has_a_lane_of_its_own() -> None:
    assert native.scan is not None
    module = native.scan
    lane, every = module.Lane(1), module.Lane(1)
    asked = Asked()
    line = b'{"g":"2024-05-01T10:00:00Z","v":"h"}'
    keys = module.Keys(1, 1)
    skip = skip_of(lambda host: lane, every=every, across=True, keys=keys)
    keys.open(None, FAR, 0)
    every.until_ns = FAR
    assert len(list(asked.scanner.scan(line, skip))) == 1
    every.until_ns = 0
    assert list(asked.scanner.scan(line, skip)) == []
    assert (lane.passed, every.passed) == (mask(0), mask(1))


def test_what_is_open_is_open_at_its_host_and_for_its_keys() -> None:
    assert native.scan is not None
    module = native.scan
    lane, keys = module.Lane(1), module.Keys(1, 1)
    skip = skip_of(lambda host: lane, keys=keys)
    asked = Asked()
    line = b'{"g":"2024-05-01T10:00:00Z","v":"h"}'
    for opened_ns, until_ns, expected in ((0, 0, 0), (0, FAR, 0), (FAR, 0, 0), (FAR, FAR, 1)):
        lane.until_ns = opened_ns
        keys.open(None, until_ns, 0)
        skip = skip_of(lambda host: lane, keys=keys)
        assert len(list(asked.scanner.scan(line, skip))) == expected, (opened_ns, until_ns)
        keys = module.Keys(1, 1)
    lane.until_ns = 0
    assert list(asked.scanner.scan(line, skip)) == []


def test_lanes_and_masks_have_the_words_of_the_scanner() -> None:
    assert native.scan is not None
    module = native.scan
    for every in (None, 1, Asked().scanner, module.Keys(1, 1)):
        with pytest.raises(TypeError):
            module.Skip(2, 0, 1, 1, lambda host: None, lambda mask_: LATER, every, True)
    skip = module.Skip(2, 0, 1, 1, lambda host: None, lambda mask_: LATER, module.Lane(2), True)
    with pytest.raises(TypeError):
        Asked().scanner.scan(b"", skip)
    with pytest.raises(ValueError, match="mask"):
        skip.add_stage(mask(1), module.Keys(1, 1), False, False, (), ())


def test_hosts_with_long_names_are_asked_for_anew() -> None:
    assert native.scan is not None
    module = native.scan
    lanes: dict[bytes | None, Any] = {}
    calls: list[int] = []

    def lane_of(host: bytes | None) -> Any:
        calls.append(0)
        return lanes.setdefault(host, module.Lane(1))

    keys = module.Keys(1, 1)
    skip = skip_of(lane_of, keys=keys)
    asked = Asked()
    lines = [b'{"g":"2024-05-01T10:00:%02dZ","v":"%d%s"}' % (n % 60, n, b"h" * 200_000) for n in range(120)]
    for line in lines:
        assert list(asked.scanner.scan(line, skip)) == []
    assert len(calls) == len(lanes) == 120
    assert list(asked.scanner.scan(lines[-1], skip)) == []
    assert len(calls) == 120, "the last one is known"
    assert list(asked.scanner.scan(lines[0], skip)) == []
    assert (len(calls), len(lanes)) == (121, 120), "the first one was forgotten"
    keys.open(None, FAR, 0)
    for lane in lanes.values():
        lane.until_ns = FAR
    assert len(list(asked.scanner.scan(b"\n".join(lines), skip))) == 120


@pytest.mark.parametrize("answer", [b"", b"1234567", b"123456789", "12345678", None, 1])
def test_masks_of_another_length(answer: Any) -> None:
    assert native.scan is not None
    answers = (lambda row: 0, lambda row: 1, lambda n, text: answer, None, number_of, decoded)
    scanner = native.scan.Scanner(("v",), (), ((0, ALL, None),), 1, *answers)
    with pytest.raises((TypeError, ValueError)):
        scanner.add_plan(answer, (0,))
    scanner.add_plan(ALL, (0,))
    with pytest.raises((TypeError, ValueError)):
        next(scanner.scan(b'{"v":1}'))


def test_plans_that_are_not_there() -> None:
    asked = Asked()
    for wrong in (1, -2, 2**40, 2**80):
        asked.root = lambda row, wrong=wrong: wrong  # type: ignore[misc]
        with pytest.raises((ValueError, OverflowError)):
            asked.masks({"g": "a"})
    for columns in ((1,), (-1,), (2**40,), ("a",)):
        with pytest.raises((ValueError, OverflowError, TypeError)):
            asked.scanner.add_plan(ALL, columns)
    asked.root = lambda row: asked.scanner.forget() or 0
    with pytest.raises(ValueError, match="no such plan"):
        asked.masks({"g": "a"})
    asked.root = lambda row: asked.scanner.add_plan(ALL, (0,))
    assert asked.masks({"g": "a"}) == [1]


def test_plans_are_forgotten_and_added_while_a_value_is_asked() -> None:
    asked = Asked()

    def answer(value: Any) -> int:
        asked.scanner.forget()
        for _ in range(100):
            asked.scanner.add_plan(ALL, (0, 0, 0))
        return 3

    asked.answer = answer
    for n in range(50):
        assert asked.masks({"g": "a", "v": n}) == [3]


@pytest.mark.parametrize("place", ["root", "value", "number"])
def test_a_scanner_at_work_is_not_set_to_work_again(place: str) -> None:
    """Neither by what it asks, nor by another thread while it asks; afterwards all is as it was."""
    asked = Asked()
    told: list[BaseException] = []

    def elsewhere() -> None:
        try:
            next(asked.scanner.scan(b'{"g":"other","v":2}'))
        except RuntimeError as error:
            told.append(error)

    def again(*_: Any) -> None:
        elsewhere()
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    if place == "root":
        asked.root = lambda row: again() or 0
    elif place == "value":
        asked.answer = lambda value: again() or 1
    else:
        asked.number = lambda mask_: again() or number_of(mask_)
    assert asked.masks({"g": "a", "v": 1}) == [1]
    assert len(told) == 2
    asked.root, asked.answer, asked.number = lambda row: 0, lambda value: 1, number_of
    assert asked.masks({"g": "other", "v": 2}, {"g": "a", "v": 1}) == [1, 1]


def test_threads_that_share_a_scanner_get_errors_or_answers() -> None:
    asked = Asked()
    asked.answer = lambda value: value % 1000 + 1
    wrong: list[Any] = []

    def work(seed: int) -> None:
        for n in range(300):
            value = seed * 1000 + n
            try:
                found = asked.masks({"g": str(value), "v": value})
            except RuntimeError:
                continue
            if found != [n + 1]:
                wrong.append((value, found))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    assert asked.masks({"g": "x", "v": 5}) == [6]


# --- making and letting go -------------------------------------------------------------------------------------------

NOTHING = (None,) * 6
WRONG: dict[str, tuple[Any, ...]] = {
    "nothing": (),
    "no tuple": ([], (), (), 1, *NOTHING),
    "no text": ((1,), (), (), 1, *NOTHING),
    "a name with NUL": (("a\0b",), (), (), 1, *NOTHING),
    "a lone surrogate": (("\ud800",), (), (), 1, *NOTHING),
    "no words": (("a",), (), (), 0, *NOTHING),
    "many words": (("a",), (), (), 2**40, *NOTHING),
    "no such gate": (("a",), (1,), (), 1, *NOTHING),
    "a gate below": (("a",), (-1,), (), 1, *NOTHING),
    "no such field": (("a",), (), ((1, ALL, None),), 1, *NOTHING),
    "no column": (("a",), (), (1,), 1, *NOTHING),
    "a short mask": (("a",), (), ((0, b"", None),), 1, *NOTHING),
    "no atoms": (("a",), (), ((0, ALL, (0, (), (), (), ())),), 1, *NOTHING),
    "millions of atoms": (("a",), (), ((0, ALL, (2**30, (), (), (), ())),), 1, *NOTHING),
    "no such atom": (("a",), (), ((0, ALL, (1, (64,), (), (), ())),), 1, *NOTHING),
    "an atom below": (("a",), (), ((0, ALL, (1, (-1,), (), (), ())),), 1, *NOTHING),
    "an odd word": (("a",), (), ((0, ALL, (1, (), (("a", (0,)),), (), ())),), 1, *NOTHING),
    "no atoms of a word": (("a",), (), ((0, ALL, (1, (), ((b"a", 0),), (), ())),), 1, *NOTHING),
    "an odd wildcard": (("a",), (), ((0, ALL, (1, (), (), (), ((b"*", True, (0,)), (b"*",)))),), 1, *NOTHING),
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=list(WRONG))
def test_a_scanner_of_nonsense(arguments: tuple[Any, ...]) -> None:
    assert native.scan is not None
    with pytest.raises((TypeError, ValueError, OverflowError, SystemError)):
        native.scan.Scanner(*arguments)


def test_other_parts_of_nonsense() -> None:
    assert native.scan is not None
    module = native.scan
    for words in (0, -1, 2**40):
        with pytest.raises(ValueError, match="masks"):
            module.Lane(words)
    lane = module.Lane(2)
    for wrong in (b"", ALL, 1, None):
        with pytest.raises((TypeError, ValueError)):
            lane.first = wrong
        with pytest.raises((TypeError, ValueError)):
            lane.passed = wrong
    with pytest.raises(TypeError):
        del lane.passed
    with pytest.raises(OverflowError):
        lane.first_ns = 2**63
    for kind in (module.Row, module.Scan):
        with pytest.raises(TypeError):
            kind()
    asked = Asked()
    for skip in (
        1,
        lane,
        module.Skip(2, 0, 1, 1, None, None, lane, True),
        module.Skip(3, 0, 1, 1, None, None, module.Lane(1), True),
        module.Skip(1, 0, 0, 0, None, None, module.Lane(1), True),
    ):
        with pytest.raises(TypeError):
            asked.scanner.scan(b"", skip)
    for places in ((2, 2, 0, 0), (2, 0, 2, 0), (2, 0, 0, 2), (2, 0, 0, 2**31), (0, 0, 0, 0)):
        with pytest.raises(TypeError):
            module.Skip(*places, None, None, lane, True)
    for data in ("", bytearray(b"{}"), memoryview(b"{}"), None):
        with pytest.raises(TypeError):
            asked.scanner.scan(data)


def test_rows_outlive_what_made_them() -> None:
    asked = Asked()
    scan = asked.scanner.scan(b'{"g":"a","v":"x\\n"}\n' * 3)
    row = next(scan)
    del asked
    gc.collect()
    other = next(scan)
    del scan
    gc.collect()
    assert [row[1], other[1], other.line(), other[0]] == ["x\n", "x\n", b'{"g":"a","v":"x\\n"}', "a"]


def test_rules_that_are_let_go_are_gone() -> None:
    rules = [
        Rule(id="0", name="0", type="eql", plan=maxspan.parse('sequence by host.id [a where v : "x*"] [b where true]'))
    ]
    detector = KernelDetector(rules)
    for n in range(100):
        detector.feed(Chunk(b'{"event":{"category":"a"},"v":"x%d"}' % n))
    detector.finish()
    gone = weakref.ref(detector.compiled.scanning)
    assert gone() is not None
    del detector
    gc.collect()
    assert gone() is None


def test_a_long_line() -> None:
    rules = [Rule(id="0", name="0", type="eql", plan=maxspan.parse('any where v : "*needle*" and w == 1'))]
    compiled = CompiledRules(rules)
    usual = [b'{"v":"%d","w":1}' % n for n in range(60)]
    long = b'{"v":["%s","needle"],"z":"%s","w":1}' % (b'a","' * 200_000, b"\\n" * 1_000_000)
    data = b"\n".join([*usual, long, long[:-1], long.replace(b'"w":1', b'"w":2')])
    told = []
    for detector in (ReferenceDetector(rules), KernelDetector(rules, compiled=compiled)):
        found = [*detector.feed(Chunk(data)), *detector.finish()]
        positions = [event.position for match in found for event in match.events if event is not None]
        told.append((positions, detector.counters.events, detector.counters.unreadable))
    assert told == [([60], 62, 1)] * 2
