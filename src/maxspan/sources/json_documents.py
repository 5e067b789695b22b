"""JSON that is not one event a line: arrays, search responses, documents printed over several lines.

The text becomes lines, one event each, while it is read; only brackets and strings are looked at. An event has the
number of the line that it begins on; where several begin on one line, each counts as a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from itertools import pairwise
from typing import Final

from maxspan.sources.lines import LONGEST_LINE

#: a bracket, with all whole strings before it; or the quote of a string that does not end
_TOKEN: Final = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+([{}\[\]"])', re.DOTALL)
_RESPONSE: Final = re.compile(
    rb'\s*\{\s*"(?:took|timed_out|_scroll_id|_shards|hits|pit_id|terminated_early|num_reduce_phases|is_partial)"\s*:'
)
#: what may stand between two events; anything else is handed on as a line, so that it is counted as unreadable
_BETWEEN: Final = b" \t\r\n,"
_BLOCK: Final = 1 << 18
_QUOTE, _OPEN, _OPEN_LIST = b'"{['
_HITS: Final = re.compile(rb'"hits"\s*:\s*\Z')
#: how an array begins; a line of a log that begins with `[INFO]` or `[2026-11-24` does not
_ARRAY: Final = re.compile(rb"\s*\[\s*(?:[{\[\]\"]|\Z|(?:-?[0-9][0-9.eE+-]*|null|true|false)\s*(?:,|\Z))")


class Unfinished(Exception):
    """The text ends in the middle of an event, or one has more than 64 MiB; `line` is where it begins."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def is_response(head: bytes) -> bool:
    """Whether a text begins like the response of a search: `{"took": 3, ...`."""
    return _RESPONSE.match(head) is not None


def is_spread(head: bytes) -> bool:
    """Whether a text begins like an array, or holds an object that goes on over several lines.

    A line that was cut off is not taken for one: then the next line begins an object of its own.
    """
    lines = [line for line in map(bytes.strip, head.split(b"\n")) if line]
    if _ARRAY.match(head) or lines == [b"{"]:
        return True
    return any(
        line.startswith(b"{") and line.endswith((b"{", b"[", b",")) and not following.startswith(b"{")
        for line, following in pairwise(lines)
    )


def events_in(blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Give line and text of each event, without newlines. Raises Unfinished at the end of what could be read."""
    return _Splitter().split(blocks)


def batches(lines: Iterable[tuple[int, bytes]], size: int) -> Iterator[tuple[int, bytes]]:
    """Put numbered lines together to texts of about `size` bytes, each with the number of its first line.

    A number that would go back, or stay, goes on by one; gaps become blank lines. Raises Unfinished after what came
    before it.
    """
    parts: list[bytes] = []
    first = following = 1
    total = 0
    failure: Unfinished | None = None
    try:
        for number, line in lines:
            number = max(number, following)
            if not parts:
                first = number
            elif number > following:
                parts.append(b"\n" * (number - following))
            parts += (line, b"\n")
            following = number + 1
            total += len(line) + 1
            if total >= size:
                yield first, b"".join(parts)
                parts, total = [], 0
    except Unfinished as error:
        failure = error
    if parts:
        yield first, b"".join(parts)
    if failure is not None:
        raise failure


class _Splitter:
    """Finds events by brackets: documents at the top, elements of an array there, hits of a search response.

    `level` is the depth at which events begin: 0 at the top, 1 in an array, 3 in the list `hits.hits` of a response.
    Behind that list the rest of the response is passed over. A document that begins like a response but has no such
    list is an event like any other.
    """

    def __init__(self) -> None:
        self.level = 0
        self.passing = False
        self.line = 1
        self.depth = 0

    def split(self, blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
        rest = b""
        parts: list[bytes] = []
        size = 0
        for block in blocks:
            parts.append(block)
            size += len(block)
            if size < max(_BLOCK, len(rest)):
                continue  # what is left is looked at again from its beginning: only once it has doubled
            rest = b"".join((rest, *parts))
            parts, size = [], 0
            used = yield from self._events(rest)
            rest = rest[used:]
            if len(rest) > LONGEST_LINE:
                raise Unfinished(f"an event of more than {LONGEST_LINE >> 20} MiB", self.line)
        rest = b"".join((rest, *parts))
        used = yield from self._events(rest)
        if self.depth or rest[used:].strip(_BETWEEN):
            raise Unfinished("the JSON text ends in the middle of a document", self.line)

    def _events(self, text: bytes) -> Generator[tuple[int, bytes], None, int]:
        """Give the whole events in a text; returns how much of it is done with."""
        done = 0  # everything before it has been given or passed over
        begin = -1  # where the event that is open began
        depth = self.depth
        response = False  # whether the open document may be one
        inside = False  # whether it is in the object `hits`
        for token in _TOKEN.finditer(text):
            start, end = token.span(1)
            kind = text[start]
            if kind == _QUOTE:
                break  # a string that goes on in the next block
            if kind in (_OPEN, _OPEN_LIST):
                if begin >= 0:
                    if response and depth == 1:
                        inside = kind == _OPEN and _is_hits(text, start)
                    elif response and depth == 2 and inside and kind == _OPEN_LIST and _is_hits(text, start):
                        self._pass(text[done:end])
                        done, begin, response, self.level = end, -1, False, 3
                elif self.passing:
                    self._pass(text[done:end])
                    done = end
                else:
                    yield from self._between(text[done:start])
                    if depth or kind == _OPEN:
                        begin = done = start
                        response = not depth and _RESPONSE.match(text, start) is not None
                    else:
                        done, self.level = end, 1
                depth += 1
            elif begin >= 0:
                depth -= 1
                if depth == self.level:
                    event = text[begin:end]
                    yield self.line, event.replace(b"\r", b" ").replace(b"\n", b" ")
                    self._pass(event)
                    done, begin, response = end, -1, False
            elif not depth:
                yield from self._between(text[done:end])  # it closes nothing
                done = end
            else:
                depth -= 1
                if self.passing:
                    self._pass(text[done:end])
                else:
                    yield from self._between(text[done:start])
                done = end
                self.passing = depth > 0
                self.level = self.level if depth else 0
        self.depth = depth if begin < 0 else self.level
        return done

    def _between(self, text: bytes) -> Iterator[tuple[int, bytes]]:
        odd = text.strip(_BETWEEN)
        if odd:
            yield self.line, odd.replace(b"\r", b" ").replace(b"\n", b" ")
        self._pass(text)

    def _pass(self, text: bytes) -> None:
        self.line += text.count(b"\n")


def _is_hits(text: bytes, bracket: int) -> bool:
    """Whether the key of what opens at `bracket` is `hits`."""
    return _HITS.search(text, max(0, bracket - 64), bracket) is not None
