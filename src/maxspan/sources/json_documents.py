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

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]"]', re.DOTALL)
_RESPONSE: Final = re.compile(
    rb'\s*\{\s*"(?:took|timed_out|_scroll_id|_shards|hits|pit_id|terminated_early|num_reduce_phases|is_partial)"\s*:'
)
#: what may stand between two events; anything else is handed on as a line, so that it is counted as unreadable
_BETWEEN: Final = b" \t\r\n,"
_BLOCK: Final = 1 << 18
_QUOTE, _OPEN, _OPEN_LIST = b'"{['


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
    if lines and (lines[0].startswith(b"[") or lines == [b"{"]):
        return True
    return any(
        line.startswith(b"{") and line.endswith((b"{", b"[", b",")) and not following.startswith(b"{")
        for line, following in pairwise(lines)
    )


def events_in(blocks: Iterable[bytes], head: bytes) -> Iterator[tuple[int, bytes]]:
    """Give line and text of each event, without newlines. Raises Unfinished at the end of what could be read."""
    response = is_response(head)
    level = 3 if response else 1 if head.lstrip().startswith(b"[") else 0
    return _Splitter(level, listed=not response).split(blocks)


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
    """Finds events by brackets: objects at `level`; in a response those in the list `hits` of the object `hits`."""

    def __init__(self, level: int, *, listed: bool) -> None:
        self.level = level
        self.listed = listed
        self.always = listed
        self.line = 1
        self.depth = 0

    def split(self, blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
        rest = b""
        for block in _joined(blocks):
            rest += block
            used = yield from self._events(rest)
            rest = rest[used:]
            if len(rest) > LONGEST_LINE:
                raise Unfinished(f"an event of more than {LONGEST_LINE >> 20} MiB", self.line)
        if self.depth or rest.strip(_BETWEEN):
            raise Unfinished("the JSON text ends in the middle of a document", self.line)

    def _events(self, text: bytes) -> Generator[tuple[int, bytes], None, int]:
        """Give the whole events in a text; returns how much of it is done with."""
        done = 0  # everything before it has been given or passed over
        begin = -1  # where the event that is open began
        depth = self.depth
        key = b""
        for token in _TOKEN.finditer(text):
            kind = text[token.start()]
            if kind == _QUOTE:
                if token.end() - token.start() == 1:
                    break  # a string that goes on in the next block
                key = token.group()
                continue
            if kind in (_OPEN, _OPEN_LIST):
                if begin < 0 and depth == self.level and self.listed and (kind == _OPEN or self.level):
                    yield from self._between(text[done : token.start()])
                    begin = done = token.start()
                depth += 1
                if begin < 0:
                    self._pass(text[done : token.end()])
                    done = token.end()
                    if not self.always and depth == 3 and kind == _OPEN_LIST:
                        self.listed = key == b'"hits"'
            else:
                depth -= 1
                if begin >= 0 and depth == self.level:
                    event = text[begin : token.end()]
                    yield self.line, event.replace(b"\r", b" ").replace(b"\n", b" ")
                    self._pass(event)
                    done, begin = token.end(), -1
                elif begin < 0:
                    if depth + 1 == self.level:
                        yield from self._between(text[done : token.start()])
                    else:
                        self._pass(text[done : token.start()])
                    done = token.end()
                    self.listed = self.always
                    depth = max(depth, 0)
            if begin < 0:
                self.depth = depth
        if begin >= 0:
            self.depth = self.level
        return done

    def _between(self, text: bytes) -> Iterator[tuple[int, bytes]]:
        odd = text.strip(_BETWEEN)
        if odd and self.listed:
            yield self.line, odd.replace(b"\r", b" ").replace(b"\n", b" ")
        self._pass(text)

    def _pass(self, text: bytes) -> None:
        self.line += text.count(b"\n")


def _joined(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Join small blocks: what is left of one is looked at again with the next."""
    parts: list[bytes] = []
    size = 0
    for block in blocks:
        parts.append(block)
        size += len(block)
        if size >= _BLOCK:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)
