"""Event files, whatever their form, become chunks of lines: one JSON event a line.

finding        paths, folders, globs         -> files, each once
compression    gzip, Zstandard               -> bytes
json_documents arrays, responses, documents  -> one event a line
parquet        rows                          -> one event a line
lines          bytes                         -> chunks
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from maxspan.errors import Problem
from maxspan.sources.chunk import Chunk
from maxspan.sources.compression import BrokenArchive, CountedFile, blocks
from maxspan.sources.finding import STDIN, EventFile, PathLike, find, shown
from maxspan.sources.json_documents import Unfinished, batches, events_in, is_response, is_spread
from maxspan.sources.lines import line_chunks

__all__ = ["EventFile", "EventFiles"]

_HEAD: Final = 4096
_LEAST: Final = 4
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_PARQUET: Final = b"PAR1"
_UTF16_MARKS: Final = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


class EventFiles:
    """Reads files, folders, globs and `-` (standard input), in this order, each file once.

    Nothing is raised for a file that cannot be read: `problems` says so, with what to do, and grows while `chunks`
    goes on; what was readable of a damaged file comes out before. `bytes_done` of `total_bytes` (both on disk) have
    been read. Lines that are no events are for the reader of the chunks to find.
    """

    def __init__(self, paths: Iterable[PathLike], *, chunk_bytes: int = 65536) -> None:
        self.files, self.problems = find(paths)
        self.total_bytes = sum(file.size for file in self.files)
        self.bytes_done = 0
        self._chunk_bytes = max(1, chunk_bytes)

    def chunks(self) -> Iterator[Chunk]:
        """Give the events of all files as chunks of whole lines."""
        for file in self.files:
            before = self.bytes_done
            yield from self._parquet(file) if file.kind == "parquet" else self._file(file)
            self.bytes_done = before + file.size

    def _file(self, file: EventFile) -> Iterator[Chunk]:
        before = self.bytes_done
        try:
            with _open(file.path) as raw:
                counted = CountedFile(raw)
                content = _Content(counted)
                for chunk in self._chunks(iter(content), shown(file.path)):
                    if file.size:
                        self.bytes_done = before + min(counted.taken, file.size)
                    yield chunk
                if content.failure is not None:
                    raise content.failure
        except OSError as error:
            self._problem(file, "unreadable-file", f"cannot be read: {error.strerror}", "check it and its permissions")
        except BrokenArchive as error:
            self._problem(file, "broken-archive", str(error), "what came before was read; fetch the file anew")
        except Unfinished as error:
            if content.failure is not None:
                self._problem(file, "broken-archive", str(content.failure), "fetch the file anew")
            hint = "the events before were read; one event a line is read even where others are broken"
            self._problem(file, "unfinished-json", str(error), hint, line=error.line)

    def _chunks(self, content: Iterator[bytes], path: str) -> Iterator[Chunk]:
        """Choose how to read by the first bytes of the text."""
        head, text = _peek(content)
        if head.startswith(_PARQUET):
            hint = "decompress it, and give the file itself"
            self.problems.append(
                Problem("broken-archive", "Parquet is not read from archives or pipes", path=path, hint=hint)
            )
            return
        if encoding := _utf16(head):
            head, text = _peek(self._decoded(text, encoding, path))
        if head.startswith(_UTF8_MARK):
            head, text = head[3:], _without_mark(text)
        if is_response(head) or is_spread(head):
            for line, data in batches(events_in(text), self._chunk_bytes):
                yield Chunk(data, path, line)
        else:
            yield from line_chunks(text, path, self.problems.append, chunk_bytes=self._chunk_bytes)

    def _decoded(self, text: Iterator[bytes], encoding: str, path: str) -> Iterator[bytes]:
        """Turn UTF-16 into UTF-8; surrogates that stand alone become U+FFFD, as in UTF-8."""
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        for block in text:
            yield decoder.decode(block).encode()
        if decoder.getstate()[0]:
            message, hint = "the UTF-16 text ends inside a character", "what came before was read; fetch the file anew"
            self.problems.append(Problem("bad-encoding", message, path=path, hint=hint))

    def _parquet(self, file: EventFile) -> Iterator[Chunk]:
        import duckdb

        from maxspan.sources.parquet import rows_as_lines

        row = 1
        try:
            for lines in rows_as_lines(file.path):
                for first, data in batches(enumerate(lines, row), self._chunk_bytes):
                    yield Chunk(data, file.path, first)
                row += len(lines)
        except (duckdb.Error, OSError) as error:
            message = f"the Parquet data cannot be read: {str(error).splitlines()[0]}"
            self._problem(file, "broken-parquet", message, "what came before was read; fetch the file anew", line=row)

    def _problem(self, file: EventFile, code: str, message: str, hint: str, *, line: int = 0) -> None:
        self.problems.append(Problem(code, message, path=shown(file.path), line=line, hint=hint))


class _Content:
    """The decompressed bytes of a file; where they end too early, `failure` says so after the last of them."""

    def __init__(self, file: CountedFile) -> None:
        self._file = file
        self.failure: BrokenArchive | OSError | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from blocks(self._file)
        except (BrokenArchive, OSError) as error:
            self.failure = error


def _open(path: str) -> BinaryIO:
    if path == STDIN:
        return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
    return Path(path).open("rb", buffering=0)


def _peek(text: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Give the first bytes, and all of the text; a pipe that has little to say yet is not waited for."""
    taken: list[bytes] = []
    size = 0
    for block in text:
        taken.append(block)
        size += len(block)
        if size >= _LEAST:
            break
    return b"".join(taken)[:_HEAD], _chain(taken, text)


def _chain(taken: list[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    yield from taken
    yield from rest


def _without_mark(text: Iterator[bytes]) -> Iterator[bytes]:
    head, rest = _peek(text)
    del head
    first = b""
    for block in rest:
        first += block
        if len(first) >= 3:
            yield first[3:]
            break
    yield from rest


def _utf16(head: bytes) -> str | None:
    """Tell UTF-16 by its mark, or by an ASCII character behind the bracket that JSON begins with."""
    if encoding := _UTF16_MARKS.get(head[:2]):
        return encoding
    if head[:1] in (b"{", b"[") and len(head) > 3 and not head[1] and head[2] and not head[3]:
        return "utf-16-le"
    if head[1:2] in (b"{", b"[") and len(head) > 3 and not head[0] and not head[2] and head[3]:
        return "utf-16-be"
    return None
