"""Text from events made safe to show: whoever writes the events must not write to the analyst's terminal.

Escape sequences can hide an alert or change what was printed before it; bidirectional overrides and invisible
characters make a command line read as another one. All of them are shown as escapes.
"""

from __future__ import annotations

import re
from typing import Final

#: Characters that Unicode calls printable and that show as nothing at all: variation selectors, fillers, blanks.
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_MARK: Final = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
#: How many combining marks in a row are shown; more of them paint over the lines around.
MOST_MARKS: Final = 3
_STACKED_MARKS: Final = re.compile(f"({_MARK}{{{MOST_MARKS}}}){_MARK}+")
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ONE_MARK: Final = re.compile(_MARK)


def is_mark(character: str) -> bool:
    """Say whether a character is drawn over the one before it."""
    return character > "\u02ff" and _ONE_MARK.match(character) is not None


def is_plain(text: str) -> bool:
    """Say whether `text` can be shown as it is."""
    if not text.isprintable():  # controls, formats (bidi, zero width, tags), surrogates, separators but the space
        return False
    return text.isascii() or not (_BLANK.search(text) or _STACKED_MARKS.search(text))


def escape(character: str) -> str:
    """Write one character as an escape of source code: `\\x1b`, `\\u202e`, `\\U000e0041`, `\\n`."""
    code = ord(character)
    if code < 0x100:
        return _SHORT.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def pieces(text: str) -> list[tuple[str, bool]]:
    """Cut `text` into what can be shown as it is (False) and runs of escapes (True), in order."""
    if is_plain(text):
        return [(text, False)] if text else []
    out: list[tuple[str, bool]] = []
    for character in _STACKED_MARKS.sub(r"\1…", text):
        hidden = not character.isprintable() or _BLANK.match(character) is not None
        shown = escape(character) if hidden else character
        if out and out[-1][1] is hidden:
            out[-1] = (out[-1][0] + shown, hidden)
        else:
            out.append((shown, hidden))
    return out


def clip(text: str, most: int) -> tuple[str, int, str]:
    """Cut the middle out of a text that takes more than `most` characters to show, escapes counted as written.

    Gives what is left at the beginning (two thirds of the room), how many characters were left out, and the end: a
    long middle must not hide what comes after it. Nothing is cut out of a text that fits: `(text, 0, "")`.
    """
    if 10 * len(text) <= most or (len(text) <= most and len(printable(text)) <= most):  # an escape has 10 at most
        return text, 0, ""
    for_end = most // 3
    begin = _fitting(text[:most], most - for_end)
    end = _fitting(text[-most:][::-1], for_end)
    left_out = len(text) - begin - end
    return (text[:begin], left_out, text[len(text) - end :]) if left_out > 0 else (text, 0, "")


def _fitting(text: str, room: int) -> int:
    """Count the characters from the start of `text` that can be shown in `room`."""
    for count, character in enumerate(text):
        hidden = not character.isprintable() or _BLANK.match(character) is not None
        room -= len(escape(character)) if hidden else 1
        if room < 0:
            return count
    return len(text)


def printable(text: str) -> str:
    """Give `text` on one line with every hidden or controlling character written as an escape."""
    return text if is_plain(text) else "".join(piece for piece, _ in pieces(text))
