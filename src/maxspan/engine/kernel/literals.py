"""Wildcard patterns by the plain text in them: one pass over a value finds which of the texts it holds.

The pass is an automaton over texts alone, which stays small however many there are. Patterns as a whole would make an
automaton that has to remember every `*` that was passed: it grows with each new value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

import re2

from maxspan.languages.casefold import fold
from maxspan.languages.eql.lucene_regex import MAX_MEMORY
from maxspan.languages.eql.patterns import wildcard_test

Test = Callable[[str], bool]
#: what the finding of a text says: bits that are certain, what to ask of the folded value, what of the value as it is
_Patterns = tuple[int, list[tuple[int, Test]], list[tuple[int, Test]]]
_NO_PATTERNS: Final[_Patterns] = (0, [], [])

#: so few patterns are asked one by one
_FEW: Final = 4
#: Texts of so few characters are in most values.
_SHORT: Final = 2
_NEITHER: Final = (None, None)
_WILD: Final = re.compile(r"[*?]+")


class LiteralPatterns:
    """Wildcard patterns (`*` any run, `?` one character), each with its bits; some without regard to case.

    The automaton looks at the folded value: what a value holds, its fold holds folded.
    """

    def __init__(self, *, max_memory: int = 4 * MAX_MEMORY) -> None:
        self._max_memory = max_memory
        #: the bits of patterns, which are folded where case does not matter
        self.patterns: dict[tuple[str, bool], int] = {}
        #: by folded text: the bits of patterns that it decides, and what to ask of the value and of its fold
        self._by_text: dict[str, _Patterns] = {}
        #: patterns with so little text that it is in most values, by their first or last character
        self._by_front: dict[str, _Patterns] = {}
        self._by_back: dict[str, _Patterns] = {}
        self._in_order: list[_Patterns] = []
        self._all: list[_Patterns] = []
        self._always: list[_Patterns] = []
        self._match: Callable[[bytes], list[int]] | None = None

    def add(self, pattern: str, bits: int, *, insensitive: bool = False) -> None:
        key = (fold(pattern) if insensitive else pattern), insensitive
        self.patterns[key] = self.patterns.get(key, 0) | bits

    def compile(self) -> None:
        """Sort the patterns; nothing can be added afterwards."""
        for (pattern, insensitive), bits in self.patterns.items():
            texts = _WILD.split(pattern)
            text = max(texts, key=len)
            test = bits, _test(pattern, texts)
            alone: _Patterns = (0, [test], []) if insensitive else (0, [], [test])
            self._all.append(alone)
            if not text:
                self._always.append(alone)
                continue
            if len(text) <= _SHORT and texts[0]:
                _put(self._by_front, fold(texts[0][0]), test, insensitive)
            elif len(text) <= _SHORT and texts[-1]:
                _put(self._by_back, fold(texts[-1][-1]), test, insensitive)
            elif insensitive and pattern == f"*{text}*":
                certain, folded, plain = self._by_text.get(text, _NO_PATTERNS)
                self._by_text[text] = certain | bits, folded, plain
            else:
                _put(self._by_text, fold(text), test, insensitive)
        if len(self.patterns) > _FEW:
            self._match = self._automaton()

    def _automaton(self) -> Callable[[bytes], list[int]] | None:
        """Make the automaton; its first member always matches, unless its memory is not enough."""
        options = re2.Options()
        options.max_mem = self._max_memory
        options.log_errors = False
        made = re2.Set.SearchSet(options)
        made.Add("")
        self._in_order = [_NO_PATTERNS]
        for text, patterns in self._by_text.items():
            made.Add(re2.escape(text))
            self._in_order.append(patterns)
        try:
            made.Compile()
        except re2.error:
            return None
        match: Callable[[bytes], list[int]] = made.Match
        return match

    def bits(self, value: str, folded: str) -> int:
        """Give the bits of all patterns that fit the whole value."""
        match = self._match
        if match is None:
            return _asked(self._all, value, folded)
        found = match(folded.encode())
        if not found or found[0] != 0:  # out of memory: ask one by one
            return _asked(self._all, value, folded)
        out = _asked(self._always, value, folded) if self._always else 0
        ends = self._by_front.get(folded[:1]), self._by_back.get(folded[-1:])
        if ends != _NEITHER:
            out |= _asked([one for one in ends if one is not None], value, folded)
        if len(found) > 1:
            out |= _asked(map(self._in_order.__getitem__, found), value, folded)
        return out

    def __bool__(self) -> bool:
        return bool(self.patterns)


def _put(by_text: dict[str, _Patterns], text: str, test: tuple[int, Test], insensitive: bool) -> None:
    certain, folded, plain = by_text.get(text, _NO_PATTERNS)
    by_text[text] = certain, [*folded, test] if insensitive else folded, plain if insensitive else [*plain, test]


def _asked(all_patterns: Iterable[_Patterns], value: str, folded: str) -> int:
    out = 0
    for certain, insensitive, plain in all_patterns:
        out |= certain
        for bits, test in insensitive:
            if test(folded):
                out |= bits
        for bits, test in plain:
            if test(value):
                out |= bits
    return out


def _test(pattern: str, texts: list[str]) -> Test:
    """Give a test of a whole value, in time linear in it; few forms need a regular expression."""
    first, last = texts[0], texts[-1]
    if not any(texts):
        least = pattern.count("?")
        return (lambda value: len(value) >= least) if "*" in pattern else (lambda value: len(value) == least)
    if len(texts) == 1:
        return pattern.__eq__
    if "?" in pattern:
        return _whole(pattern, first, last, max(texts, key=len))
    inner = texts[1:-1]
    if not inner:
        return _ends(first, last)
    if len(inner) == 1 and not first and not last:
        text = inner[0]
        return lambda value: text in value
    return _in_turn(first, inner, last)


def _ends(first: str, last: str) -> Test:
    if not last:
        return lambda value: value.startswith(first)
    if not first:
        return lambda value: value.endswith(last)
    least = len(first) + len(last)
    return lambda value: len(value) >= least and value.startswith(first) and value.endswith(last)


def _in_turn(first: str, inner: list[str], last: str) -> Test:
    """Test whether texts follow one another: each is best taken where it is found first."""
    begin, back = len(first), len(last)

    def test(value: str) -> bool:
        if not (value.startswith(first) and value.endswith(last)):
            return False
        place, end = begin, len(value) - back
        for text in inner:
            place = value.find(text, place, end)
            if place < 0:
                return False
            place += len(text)
        return True

    return test


def _whole(pattern: str, first: str, last: str, longest: str) -> Test:
    """Test by a regular expression what holds the texts of the pattern."""

    def test(value: str) -> bool:
        return (
            longest in value
            and value.startswith(first)
            and value.endswith(last)
            and wildcard_test(pattern, insensitive=False)(value)
        )

    return test
