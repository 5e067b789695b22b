"""Blocks of bytes become chunks of whole lines."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Final

from maxspan.errors import Problem
from maxspan.sources.chunk import Chunk

#: A line that is longer than this is no event: it is left out with a word.
LONGEST_LINE: Final = 64 << 20

Note = Callable[[Problem], None]


def line_chunks(
    blocks: Iterable[bytes], path: str, note: Note, *, chunk_bytes: int = 65536, first_line: int = 1
) -> Generator[Chunk, None, int]:
    """Cut blocks at their last newline; what is behind it waits for the next block.

    Chunks hold about `chunk_bytes`, more where one line is longer. A last line without newline is a line. A line of
    more than 64 MiB is left out and noted. Lines are counted from `first_line`; returns the number of the line behind
    the last newline.
    """
    parts: list[bytes] = []
    size, line, skipping = 0, first_line, False
    for block in _cut(blocks, chunk_bytes):
        end = block.rfind(b"\n") + 1
        if skipping:
            first = block.find(b"\n") + 1
            if not first:
                continue
            skipping, line, block, end = False, line + 1, block[first:], max(0, end - first)
            if not block:
                continue
        if end:
            data = b"".join((*parts, block[:end])) if parts else block[:end]
            chunk = Chunk(data, path, line)
            yield chunk
            line += _newlines(data) if chunk.newlines is None else chunk.newlines
            parts, size = ([block[end:]], len(block) - end) if end < len(block) else ([], 0)
            continue
        parts.append(block)
        size += len(block)
        if size > LONGEST_LINE:
            note(_too_long(path, line))
            parts, size, skipping = [], 0, True
    if parts:
        yield Chunk(b"".join(parts), path, line)
    return line


def _cut(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Cut blocks that are larger than a chunk: large chunks do not fit the processor's cache."""
    for block in blocks:
        if len(block) <= size:
            yield block
            continue
        for begin in range(0, len(block), size):
            yield block[begin : begin + size]


def _newlines(data: bytes) -> int:
    """Count newlines: of events, which are long, `find` sees many bytes at once, and `count` one after another."""
    number, find = 0, data.find
    place = find(b"\n")
    while place >= 0:
        number += 1
        place = find(b"\n", place + 1)
    return number


def _too_long(path: str, line: int) -> Problem:
    return Problem(
        "line-too-long",
        f"a line of more than {LONGEST_LINE >> 20} MiB is no event and was left out",
        path=path,
        line=line,
        hint="one event a line; a JSON array is read when the file begins with [",
    )
