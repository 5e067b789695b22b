"""Where things stand in a TOML file, which Python's TOML parser does not tell.

The text is known to be valid TOML by the time it is looked at here, so this only needs to find the bounds of keys,
values and tables, not to understand them. It runs when a problem has to be shown, not for every file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

#: Keys and, for arrays of tables, numbers from 0: ("rule", "threat", 0, "tactic", "id").
KeyPath: TypeAlias = tuple[str | int, ...]

_SPACE: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_KEY: Final = re.compile(
    r"""[ \t]*(?:"(?P<basic>(?:\\.|[^"\\\n])*)"|'(?P<literal>[^'\n]*)'|(?P<bare>[A-Za-z0-9_-]+))[ \t]*"""
)
_STRING: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_BARE: Final = re.compile(r"[^\[\]{},#\n\"']+")
_ESCAPE: Final = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|[ \t]*\r?\n[ \t\r\n]*|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """Character offsets of a key and its value in the text; for a table, of the words in its header."""

    key: int
    key_end: int
    value: int
    value_end: int


def places(text: str) -> Mapping[KeyPath, Place]:
    """Find every key and table of a valid TOML text. Keys inside inline tables are not listed."""
    found: dict[KeyPath, Place] = {}
    counts: dict[KeyPath, int] = {}
    table: KeyPath = ()
    at = _skip(text, 0)
    while at < len(text):
        if text[at] == "[":
            array = text.startswith("[[", at)
            start = at + 1 + array
            names, end = _dotted(text, start)
            if end == start:
                break
            table = _table(names, counts, array)
            found.setdefault(table, Place(start, end, start, end))
            at = end + 1 + array
        else:
            names, end = _dotted(text, at)
            if end == at or end >= len(text) or text[end] != "=":
                break
            value = _skip_blanks(text, end + 1)
            value_end = _value_end(text, value)
            found.setdefault(table + names, Place(at, len(text[:end].rstrip(" \t")), value, value_end))
            at = value_end
        at = _skip(text, at)
    return found


def _table(names: KeyPath, counts: dict[KeyPath, int], array: bool) -> KeyPath:
    """Give the path of a table header, with the number of the array's element that it belongs to."""
    path: KeyPath = ()
    for depth, name in enumerate(names):
        path += (name,)
        last = depth == len(names) - 1
        if array and last:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path += (counts[path],)
    return path


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t":
        at += 1
    return at


def _dotted(text: str, at: int) -> tuple[tuple[str, ...], int]:
    """Read a dotted key; gives its parts and the offset behind it (blanks included)."""
    names: list[str] = []
    while found := _KEY.match(text, at):
        names.append(next(part for part in found.group("basic", "literal", "bare") if part is not None))
        at = found.end()
        if not text.startswith(".", at):
            break
        at += 1
    return tuple(names), at


def _value_end(text: str, at: int) -> int:
    """Find the end of the value that begins at `at`: a string, an array or inline table, or a bare word."""
    depth = 0
    while at < len(text):
        character = text[at]
        if character in "\"'":
            found = _STRING.match(text, at)
            at = found.end() if found else len(text)
        elif character in "[{":
            depth += 1
            at += 1
        elif character in "]}":
            depth -= 1
            at += 1
        elif depth and character in ",\n#":
            at = max(_skip(text, at), at + 1)
        elif character in ",\n#":
            break
        else:
            found = _BARE.match(text, at)
            at = found.end() if found else at + 1
            if depth == 0:
                return at - (len(found[0]) - len(found[0].rstrip()) if found else 0)
        if depth == 0:
            break
    return at


def in_string(text: str, value: int, offset: int) -> int:
    """Give the offset in `text` of the character number `offset` of the TOML string that begins at `value`.

    Line ends of the text must be plain newlines. An offset at or behind the end gives the closing quote.
    """
    quotes = 3 if text.startswith(('"""', "'''"), value) else 1
    at = value + quotes
    if quotes == 3 and text.startswith("\n", at):
        at += 1
    found = _STRING.match(text, value)
    end = found.end() - quotes if found else len(text)
    if text[value] == "'":
        return min(at + offset, end)
    decoded = 0
    while at < end:
        escape = _ESCAPE.match(text, at) if text[at] == "\\" else None
        folded = escape is not None and escape[0].rstrip("\n\r\t ") == "\\" and "\n" in escape[0]
        if decoded >= offset and not folded:
            return at
        at = escape.end() if escape else at + 1
        decoded += not folded
    return end
