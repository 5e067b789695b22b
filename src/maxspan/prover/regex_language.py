"""Lucene patterns as languages.

The pattern is first translated to RE2, which checks it and spells out what Lucene has of its own; what is read here
is that translation, whose syntax is small.
"""

from __future__ import annotations

from typing import Final

from maxspan.languages.eql.lucene_regex import to_re2
from maxspan.prover.language import ANY_CHARACTER, ANYTHING, Characters, Either, Expression, Repeat, Then

_LETTERS: Final = {"t": "\t", "n": "\n", "r": "\r"}


def regex(pattern: str, *, insensitive: bool = False) -> Expression:
    """Give the language of a Lucene pattern. Raises QueryError `bad-regex`."""
    return _Reader(to_re2(pattern), insensitive).read()


class _Reader:
    def __init__(self, pattern: str, insensitive: bool) -> None:
        self.pattern = pattern
        self.insensitive = insensitive
        self.position = 0

    def read(self) -> Expression:
        return self._either()

    def _accept(self, start: str) -> bool:
        if self.pattern.startswith(start, self.position):
            self.position += len(start)
            return True
        return False

    def _next(self) -> str:
        self.position += 1
        return self.pattern[self.position - 1]

    def _either(self) -> Expression:
        parts = [self._then()]
        while self._accept("|"):
            parts.append(self._then())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _then(self) -> Expression:
        parts: list[Expression] = []
        while self.position < len(self.pattern) and self.pattern[self.position] not in "|)":
            parts.append(self._repeated(self._atom()))
        return parts[0] if len(parts) == 1 else Then(tuple(parts))

    def _repeated(self, part: Expression) -> Expression:
        while True:
            if self._accept("*"):
                part = Repeat(part)
            elif self._accept("+"):
                part = Repeat(part, 1)
            elif self._accept("?"):
                part = Repeat(part, 0, 1)
            elif self._accept("{"):
                end = self.pattern.index("}", self.position)
                low, comma, high = self.pattern[self.position : end].partition(",")
                self.position = end + 1
                part = Repeat(part, int(low), int(high) if high else None if comma else int(low))
            else:
                return part

    def _atom(self) -> Expression:
        if self._accept("(?s:.*)"):
            return ANYTHING
        if self._accept("(?s:.)"):
            return ANY_CHARACTER
        if self._accept("(?:"):
            inner = self._either()
            self._accept(")")
            return inner
        if self._accept("["):
            return self._class()
        code = ord(self._character())
        return Characters(((code, code),), insensitive=self.insensitive)

    def _class(self) -> Expression:
        negated = self._accept("^")
        ranges: list[tuple[int, int]] = []
        while not self._accept("]"):
            low = ord(self._character())
            high = ord(self._character()) if self._accept("-") else low
            ranges.append((low, high))
        return Characters(tuple(ranges), negated, self.insensitive)

    def _character(self) -> str:
        character = self._next()
        if character != "\\":
            return character
        if self._accept("x{"):
            end = self.pattern.index("}", self.position)
            code = int(self.pattern[self.position : end], 16)
            self.position = end + 1
            return chr(code)
        escaped = self._next()
        return _LETTERS.get(escaped, escaped)
