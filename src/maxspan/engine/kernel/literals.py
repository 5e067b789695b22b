"""Wildcard patterns by the plain text in them: most values rule out most patterns by their first or last characters."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from maxspan.languages.eql.patterns import wildcard_test

Test = Callable[[str], bool]

#: so many characters at the front or at the end choose the patterns that are looked at
_KEY: Final = 3
#: more patterns than this are better asked at once, by an automaton
MOST: Final = 12

_WILD: Final = re.compile(r"[*?]+")


class LiteralPatterns:
    """Wildcard patterns that begin with, end with or hold a text, each with its bits.

    `add` says whether it took a pattern; the others need a regular expression. Case has been folded before.
    """

    def __init__(self) -> None:
        self._front: dict[str, list[tuple[str, int, Test | None]]] = {}
        self._back: dict[str, list[tuple[str, int, Test | None]]] = {}
        self._inner: list[tuple[str, int, Test | None]] = []

    def add(self, pattern: str, bits: int) -> bool:
        """Take a pattern (`*` any run, `?` one character) if there is some text in it."""
        texts = _WILD.split(pattern)
        front, back = texts[0], texts[-1]
        if len(front) >= _KEY:
            test = None if pattern == front + "*" else _later(pattern)
            self._front.setdefault(front[:_KEY], []).append((front, bits, test))
        elif len(back) >= _KEY:
            test = None if pattern == "*" + back else _later(pattern)
            self._back.setdefault(back[-_KEY:], []).append((back, bits, test))
        else:
            inner = max(texts, key=len)
            if not inner:
                return False
            self._inner.append((inner, bits, None if pattern == f"*{inner}*" else _later(pattern)))
        return True

    def bits(self, value: str) -> int:
        """Give the bits of all patterns that fit the whole value."""
        out = 0
        for text, bits, test in self._front.get(value[:_KEY], ()):
            if value.startswith(text) and (test is None or test(value)):
                out |= bits
        for text, bits, test in self._back.get(value[-_KEY:], ()):
            if value.endswith(text) and (test is None or test(value)):
                out |= bits
        for text, bits, test in self._inner:
            if text in value and (test is None or test(value)):
                out |= bits
        return out

    def __bool__(self) -> bool:
        return bool(self._front or self._back or self._inner)


def _later(pattern: str) -> Test:
    """Test against a pattern that is compiled when it is needed first."""
    return lambda value: wildcard_test(pattern, insensitive=False)(value)
