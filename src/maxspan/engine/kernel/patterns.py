"""All wildcards and regular expressions of one field in one pass over a value, in time linear in its length.

`re2.Set` says nothing when its automaton runs out of memory: it then finds no pattern. So each set holds one more
pattern that always matches; when that one is missing, every pattern is asked on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import re2

from maxspan.languages import plan
from maxspan.languages.casefold import fold
from maxspan.languages.eql.lucene_regex import MAX_MEMORY, compile_regex, to_re2
from maxspan.languages.eql.patterns import wildcard_test, wildcard_to_re2

#: Sets larger than this, in characters of their patterns, are split: the automaton stays small.
_LARGEST_SET: Final = 20_000

Test = Callable[[str], bool]


class PatternSet:
    """Patterns, each with the bits that it stands for when it matches the whole value."""

    def __init__(self, *, case_sensitive: bool = True, max_memory: int = 4 * MAX_MEMORY) -> None:
        self._case_sensitive = case_sensitive
        self._max_memory = max_memory
        self._patterns: dict[str, tuple[int, Test]] = {}
        self._sets: list[tuple[Any, list[int], list[Test]]] = []

    def add(self, pattern: str, bits: int, test: Test) -> None:
        """Add a pattern in RE2's syntax; `test` is the slow way to the same answer."""
        known = self._patterns.get(pattern, (0, test))
        self._patterns[pattern] = known[0] | bits, known[1]

    def compile(self) -> None:
        """Make the sets; nothing can be added afterwards."""
        part: list[tuple[str, int, Test]] = []
        size = 0
        for pattern, (bits, test) in self._patterns.items():
            part.append((pattern, bits, test))
            size += len(pattern)
            if size >= _LARGEST_SET:
                self._sets.append(self._make(part))
                part, size = [], 0
        if part:
            self._sets.append(self._make(part))

    def _make(self, part: Sequence[tuple[str, int, Test]]) -> tuple[Any, list[int], list[Test]]:
        options = re2.Options()
        options.max_mem = self._max_memory
        options.dot_nl = True
        options.log_errors = False
        options.case_sensitive = self._case_sensitive
        made = re2.Set.FullMatchSet(options)
        made.Add(".*")
        for pattern, _, _ in part:
            made.Add(pattern)
        try:
            made.Compile()
        except re2.error:  # not enough memory for the set: every value is asked one by one
            made = None
        return made, [0, *(bits for _, bits, _ in part)], [test for _, _, test in part]

    def bits(self, value: str) -> int:
        """Give the bits of all patterns that match the whole value."""
        out = 0
        for made, bits, tests in self._sets:
            found = made.Match(value) if made is not None else ()
            if 0 not in found:  # out of memory: ask one by one
                found = [number for number, test in enumerate(tests, 1) if test(value)]
            for number in found:
                out |= bits[number]
        return out

    def __bool__(self) -> bool:
        return bool(self._patterns)


class FieldPatterns:
    """The three sets of a field: with regard to case, folded, and regular expressions without regard to case."""

    def __init__(self) -> None:
        self._plain, self._folded = PatternSet(), PatternSet()
        self._insensitive = PatternSet(case_sensitive=False)

    def add_like(self, leaf: plan.Like, pattern: str, bit: int) -> None:
        if leaf.insensitive:
            folded = fold(pattern)
            self._folded.add(wildcard_to_re2(folded), bit, wildcard_test(folded, insensitive=False))
        else:
            self._plain.add(wildcard_to_re2(pattern), bit, wildcard_test(pattern, insensitive=False))

    def add_regex(self, leaf: plan.Regex, pattern: str, bit: int) -> None:
        compiled = compile_regex(pattern, insensitive=leaf.insensitive)
        chosen = self._insensitive if leaf.insensitive else self._plain
        chosen.add(f"(?:{to_re2(pattern)})", bit, lambda value: compiled.fullmatch(value) is not None)

    def add_part(self, function: str, text: str, bit: int, *, insensitive: bool) -> None:
        """Add `startsWith`, `endsWith` or `stringContains` with a text that is not empty."""
        text = fold(text) if insensitive else text
        test, before, after = {
            "startsWith": (lambda value: value.startswith(text), "", ".*"),
            "endsWith": (lambda value: value.endswith(text), ".*", ""),
            "stringContains": (lambda value: text in value, ".*", ".*"),
        }[function]
        chosen = self._folded if insensitive else self._plain
        chosen.add(f"(?s){before}{re2.escape(text)}{after}", bit, test)

    def compile(self) -> None:
        for one in self._all:
            one.compile()

    @property
    def _all(self) -> Iterable[PatternSet]:
        return self._plain, self._folded, self._insensitive

    def bits(self, value: str, folded: str) -> int:
        """Give the bits of all patterns that match a value; `folded` is the value folded."""
        out = self._plain.bits(value) if self._plain else 0
        if self._folded:
            out |= self._folded.bits(folded)
        return out | self._insensitive.bits(value) if self._insensitive else out
