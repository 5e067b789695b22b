"""Lucene regular expressions, translated to RE2.

Lucene's syntax is not Perl's: the pattern always covers the whole value, `^` and `$` are plain characters, `.` also
matches a newline, `"..."` quotes, `@` is any string, `#` is nothing at all, `<1-10>` is a range of numbers, and
backslash with d, w or s is an ASCII class (in Lucene since 8.6; rules use them). `~` (complement) and `&`
(intersection) exist in Lucene and cannot be said in RE2: they are refused, never guessed.

RE2 matches in linear time, so that no pattern of a rule can blow up. Source: the class documentation of Lucene's
RegExp and the page on regular expression syntax in the Elasticsearch reference.
"""

from __future__ import annotations

import functools
from typing import Final, NoReturn

import re2

from maxspan.errors import QueryError

_RE2_SPECIAL: Final = frozenset("\\.+*?()|[]{}^$")
_MAX_REPEAT: Final = 1000
_CLASSES: Final = {"d": "0-9", "w": "A-Za-z0-9_", "s": " \\t\\n\\r"}
#: memory for one compiled pattern; above it RE2 falls back to slower matching, never to a wrong answer
MAX_MEMORY: Final = 64 << 20


def to_re2(pattern: str) -> str:
    """Translate a Lucene pattern; match the result against a whole value. Raises QueryError `bad-regex`."""
    return _Translator(pattern).translate()


@functools.lru_cache(maxsize=4096)
def compile_regex(pattern: str, *, insensitive: bool = False) -> re2._Regexp:
    """Compile a Lucene pattern to an RE2 object whose `fullmatch` tells. Raises QueryError `bad-regex`."""
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.dot_nl = True
    options.log_errors = False
    options.case_sensitive = not insensitive
    translated = to_re2(pattern)
    try:
        return re2.compile(translated, options)
    except re2.error as error:
        raise QueryError("bad-regex", f"the pattern {pattern!r} cannot be compiled: {error}") from None


class _Translator:
    """Recursive descent over Lucene's grammar: union, (intersection), concatenation, repetition, complement, atoms."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.position = 0
        self.depth = 0

    def translate(self) -> str:
        out = self._union()
        if self.position < len(self.pattern):
            self._fail(f"unexpected {self._peek()!r} at position {self.position}")
        return out

    def _peek(self) -> str:
        return self.pattern[self.position : self.position + 1]

    def _next(self) -> str:
        if self.position >= len(self.pattern):
            self._fail("the pattern ends too early")
        character = self.pattern[self.position]
        self.position += 1
        return character

    def _accept(self, character: str) -> bool:
        if self._peek() == character:
            self.position += 1
            return True
        return False

    def _fail(self, why: str, hint: str = "") -> NoReturn:
        raise QueryError("bad-regex", f"the pattern {self.pattern!r} cannot be used: {why}", hint=hint)

    def _union(self) -> str:
        self.depth += 1
        if self.depth > 100:
            self._fail("it nests too deep")
        parts = [self._concatenation()]
        while self._accept("|"):
            parts.append(self._concatenation())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"

    def _concatenation(self) -> str:
        parts: list[str] = []
        while self._peek() not in ("", ")", "|"):
            if self._peek() == "&":
                self._fail("`&` (intersection) has no counterpart here", 'write two conditions joined by "and"')
            parts.append(self._repetition())
        return "".join(parts)

    def _repetition(self) -> str:
        out = self._atom()
        while (operator := self._peek()) and operator in "?*+{":
            self.position += 1
            if operator == "{":
                operator = self._bounds()
            out = f"(?:{out}){operator}"
        return out

    def _bounds(self) -> str:
        low = self._number()
        high: int | None = low
        if self._accept(","):
            high = self._number() if self._peek().isdigit() else None
        if not self._accept("}"):
            self._fail("a `{` without its `}`", "write \\\\{ for the character itself")
        if max(low, high or 0) > _MAX_REPEAT:
            self._fail(f"more than {_MAX_REPEAT} repetitions")
        if high is not None and high < low:
            self._fail("a repetition whose upper bound is below its lower one")
        return f"{{{low}}}" if high == low else f"{{{low},{'' if high is None else high}}}"

    def _number(self) -> int:
        digits = ""
        while self._peek() and self._peek() in "0123456789":
            digits += self._next()
        if not digits:
            self._fail("a `{` without a number", "write \\\\{ for the character itself")
        return int(digits[:9])

    def _atom(self) -> str:
        character = self._next()
        match character:
            case ".":
                return "(?s:.)"
            case "[":
                return self._character_class()
            case "(":
                return self._group()
            case '"':
                return self._quoted()
            case "@":
                return "(?s:.*)"
            case "#":
                return "[^\\x{0}-\\x{10FFFF}]"
            case "~":
                self._fail("`~` (complement) has no counterpart here", "write `not` in front of the condition")
            case "<":
                return self._interval()
            case "\\":
                return self._escaped()
            case ")" | "?" | "*" | "+" | "{":
                self._fail(f"{character!r} has nothing to repeat", f"write \\\\{character} for the character itself")
            case _:
                return _escape(character)

    def _escaped(self) -> str:
        """Read what follows a backslash outside of brackets: a class of characters or the character itself."""
        character = self._next()
        if character.lower() in _CLASSES:
            return f"[{'^' if character.isupper() else ''}{_CLASSES[character.lower()]}]"
        return _escape(character)

    def _group(self) -> str:
        if self._peek() == "?":
            self._fail("`(?` has no meaning in this language", "there is no look-around and no flag; leave it out")
        if self._accept(")"):
            return "(?:)"
        inner = self._union()
        if not self._accept(")"):
            self._fail("a `(` without its `)`", "write \\\\( for the character itself")
        return f"(?:{inner})"

    def _quoted(self) -> str:
        end = self.pattern.find('"', self.position)
        if end < 0:
            self._fail('a `"` without its partner', 'write \\\\\\" for the character itself')
        text = self.pattern[self.position : end]
        self.position = end + 1
        return f"(?:{''.join(map(_escape, text))})"

    def _character_class(self) -> str:
        negated = self._accept("^")
        parts: list[str] = []
        while not parts or self._peek() != "]":
            if self._peek() == "\\" and self.pattern[self.position + 1 : self.position + 2] in _CLASSES:
                self.position += 1
                parts.append(_CLASSES[self._next()])
                continue
            low = self._class_character()
            if self._peek() == "-" and self.pattern[self.position + 1 : self.position + 2] not in ("", "]"):
                self.position += 1
                high = self._class_character()
                if ord(high) < ord(low):
                    self._fail(f"the range {low}-{high} runs backwards")
                parts.append(f"{_code(low)}-{_code(high)}")
            else:
                parts.append(_code(low))
        self.position += 1
        return f"[{'^' if negated else ''}{''.join(parts)}]"

    def _class_character(self) -> str:
        if not self._peek():
            self._fail("a `[` without its `]`", "write \\\\[ for the character itself")
        character = self._next()
        if character == "\\":
            character = self._next()
            if character.lower() in _CLASSES:
                self._fail(f"\\{character} cannot stand there inside of brackets")
        return character

    def _interval(self) -> str:
        end = self.pattern.find(">", self.position)
        text = self.pattern[self.position : end] if end >= 0 else ""
        low, dash, high = text.partition("-")
        digits = low.isascii() and high.isascii() and low.isdigit() and high.isdigit()
        if end < 0 or not dash or not digits or max(len(low), len(high)) > 9:
            self._fail("`<` begins a range of numbers such as <1-100>", "write \\\\< for the character itself")
        self.position = end + 1
        width = len(low) if len(low) == len(high) else 0
        first, last = sorted((int(low), int(high)))
        return _number_range(first, last, width)


def _escape(character: str) -> str:
    return "\\" + character if character in _RE2_SPECIAL else character


def _code(character: str) -> str:
    return f"\\x{{{ord(character):X}}}"


def _number_range(first: int, last: int, width: int) -> str:
    """Write the decimal numbers from `first` to `last`: zero-filled to `width`, or with any leading zeros."""
    if width:
        return f"(?:{_same_length(str(first).zfill(width), str(last).zfill(width))})"
    parts: list[str] = []
    for size in range(len(str(first)), len(str(last)) + 1):
        low = max(first, 10 ** (size - 1) if size > 1 else 0)
        parts.append(_same_length(str(low), str(min(last, 10**size - 1))))
    return f"0*(?:{'|'.join(parts)})"


def _same_length(low: str, high: str) -> str:
    """Write the strings of digits from `low` to `high`, which are equally long."""
    if not low:
        return ""
    if low[0] == high[0]:
        return low[0] + _same_length(low[1:], high[1:])
    rest = len(low) - 1
    parts = [low[0] + _same_length(low[1:], "9" * rest), high[0] + _same_length("0" * rest, high[1:])]
    if int(high[0]) - int(low[0]) > 1:
        parts.append(f"[{int(low[0]) + 1}-{int(high[0]) - 1}]" + "[0-9]" * rest)
    return f"(?:{'|'.join(parts)})"
