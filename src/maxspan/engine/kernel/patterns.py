"""All wildcards and regular expressions of one field in one pass over a value, in time linear in its length.

`re2.Set` says nothing when its automaton runs out of memory: it then finds no pattern. So each set holds one more
pattern that always matches; when that one is missing, every pattern is asked on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import re2

from maxspan.engine.kernel.literals import LiteralPatterns
from maxspan.languages import plan
from maxspan.languages.eql.lucene_regex import MAX_MEMORY, compile_regex, to_re2

#: Sets of more patterns than this are split: the automaton stays small, and its states are soon all known.
_LARGEST_SET: Final = 128

Test = Callable[[str], bool]
#: takes a value, as text and encoded, and gives bits
Step = Callable[[str, bytes], int]


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
        for pattern, (bits, test) in self._patterns.items():
            part.append((pattern, bits, test))
            if len(part) >= _LARGEST_SET:
                self._sets.append(self._make(part))
                part = []
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

    @property
    def steps(self) -> list[Step]:
        """Give what is done for a value, set by set."""
        return [_step(*one) for one in self._sets]

    def bits(self, value: str) -> int:
        """Give the bits of all patterns that match the whole value."""
        out = 0
        for step in self.steps:
            out |= step(value, value.encode())
        return out

    def __bool__(self) -> bool:
        return bool(self._patterns)


def _step(made: Any, bits: list[int], tests: list[Test]) -> Step:
    match = made.Match if made is not None else lambda encoded: None

    def step(value: str, encoded: bytes) -> int:
        found = match(encoded)
        out = 0
        if not found or found[0] != 0:  # out of memory: ask one by one
            for number, test in enumerate(tests, 1):
                if test(value):
                    out |= bits[number]
        elif len(found) > 1:
            for number in found:
                out |= bits[number]
        return out

    return step


def _no_bits(value: str, folded: str) -> int:
    return 0


class FieldPatterns:
    """The patterns of a field: wildcards with regard to case and folded, regular expressions of both kinds."""

    def __init__(self) -> None:
        self._wildcards = LiteralPatterns()
        self._sensitive, self._insensitive = PatternSet(), PatternSet(case_sensitive=False)
        self._regexes: list[Step] = []

    def add_like(self, leaf: plan.Like, pattern: str, bit: int) -> None:
        self._wildcards.add(pattern, bit, insensitive=leaf.insensitive)

    def add_regex(self, leaf: plan.Regex, pattern: str, bit: int) -> None:
        compiled = compile_regex(pattern, insensitive=leaf.insensitive)
        chosen = self._insensitive if leaf.insensitive else self._sensitive
        chosen.add(f"(?:{to_re2(pattern)})", bit, lambda value: compiled.fullmatch(value) is not None)

    @property
    def wildcards(self) -> dict[tuple[str, bool], int] | None:
        """Give the bits of wildcards, by pattern and whether case matters not; None beside regular expressions."""
        return None if self._sensitive or self._insensitive else self._wildcards.patterns

    def compile(self) -> None:
        """Make the automata; nothing can be added afterwards."""
        self._wildcards.compile()
        self._sensitive.compile()
        self._insensitive.compile()
        self._regexes = self._sensitive.steps + self._insensitive.steps
        if not self._wildcards and not self._regexes:
            self.bits = _no_bits  # type: ignore[method-assign]
        elif not self._regexes:
            self.bits = self._wildcards.bits  # type: ignore[method-assign]

    def bits(self, value: str, folded: str) -> int:
        """Give the bits of all patterns that match a value; `folded` is the value folded."""
        out = self._wildcards.bits(value, folded) if self._wildcards else 0
        if self._regexes:
            encoded = value.encode()
            for step in self._regexes:
                out |= step(value, encoded)
        return out
