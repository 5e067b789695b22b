"""Event files become parts: ranges of plain files, whole files, or chunks that were read already."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from maxspan.engine.kernel.replay import Replay
from maxspan.errors import Problem
from maxspan.sources.chunk import Chunk
from maxspan.sources.files import EventFiles
from maxspan.sources.finding import EventFile, shown
from maxspan.sources.json_documents import is_response, is_spread
from maxspan.sources.lines import line_chunks

_HEAD: Final = 4096
#: chunks that are read here go to the workers in parts of this size
FED_BYTES: Final = 1 << 20


@dataclass(slots=True)
class Part:
    """Something to read: bytes `begin` to `end` of a file of lines, a whole file of any form, or chunks.

    `end` is None for the last part of a file. `size` is its bytes on disk. `lines` is how many lines end in a range,
    once it has been read. `problems` are those of chunks that were met while they were read.
    """

    kind: Literal["range", "file", "chunks"]
    path: str = ""
    begin: int = 0
    end: int | None = None
    size: int = 0
    chunks: tuple[Chunk, ...] = ()
    lines: int = 0
    problems: tuple[Problem, ...] = ()

    @property
    def weight(self) -> int:
        """Give about how many bytes there are to read."""
        return sum(len(chunk.data) for chunk in self.chunks) if self.kind == "chunks" else self.size

    def read(self, problems: list[Problem], chunk_bytes: int, first_line: int) -> Iterator[Chunk]:
        """Give the chunks of the part; what is wrong goes to `problems`. A range begins at `first_line`."""
        if self.kind == "chunks":
            yield from self.chunks
            problems += self.problems
        elif self.kind == "file":
            files = EventFiles([self.path], chunk_bytes=chunk_bytes)
            yield from files.chunks()
            problems += files.problems
        else:
            yield from self._range(problems, chunk_bytes, first_line)

    def _range(self, problems: list[Problem], chunk_bytes: int, first_line: int) -> Iterator[Chunk]:
        name = shown(self.path)
        blocks = _Blocks(self.path, self.begin, self.end, chunk_bytes)
        try:
            lines = line_chunks(blocks, name, problems.append, chunk_bytes=chunk_bytes, first_line=first_line)
            self.lines = (yield from lines) - first_line
        except OSError as error:
            hint = "check it and its permissions"
            problems.append(Problem("unreadable-file", f"cannot be read: {error.strerror}", path=name, hint=hint))
        if blocks.short:
            message = f"the file ends {blocks.short} bytes before it did when the scan began"
            problems.append(
                Problem("changed-input", message, path=name, hint="do not change event files while they are read")
            )


class _Blocks:
    """The bytes of a range, in blocks that end where those of the whole file do; `short` counts bytes that are gone."""

    def __init__(self, path: str, begin: int, end: int | None, block_bytes: int) -> None:
        self._path, self._begin, self._end, self._size = path, begin, end, block_bytes
        self.short = 0

    def __iter__(self) -> Iterator[bytes]:
        here = self._begin
        with Path(self._path).open("rb", buffering=0) as file:
            file.seek(here)
            while self._end is None or here < self._end:
                wanted = self._size - here % self._size
                if self._end is not None:
                    wanted = min(wanted, self._end - here)
                block = file.read(wanted)
                if not block:
                    self.short = 0 if self._end is None else self._end - here
                    return
                here += len(block)
                yield block


class Parts:
    """The parts of event files, in their order, as they are asked for.

    Plain files of lines are cut where chunks begin, so that each chunk is the one that a single process sees. Other
    files go as a whole if there are many, else they are read here, and so is what is no file.
    """

    def __init__(self, files: EventFiles, *, jobs: int, part_bytes: int, chunk_bytes: int) -> None:
        self._files = files
        self._jobs = jobs
        self._part_bytes = max(1, part_bytes // chunk_bytes) * chunk_bytes
        self._chunk_bytes = chunk_bytes
        self._replays: dict[int, Replay] = {}
        self.failure = ""

    def __iter__(self) -> Iterator[Part]:
        """Give all parts; once more, for those that were read here, from what was kept of them."""
        files = self._files.files
        whole = sum(file.size > 0 for file in files) >= 2 * self._jobs
        for number, file in enumerate(files):
            if file.size and _is_plain(file):
                yield from self._ranges(file)
            elif file.size and whole:
                yield Part("file", file.path, size=file.size)
            else:
                yield from self._read_here(number, file)

    def _ranges(self, file: EventFile) -> Iterator[Part]:
        begin = 0
        try:
            with Path(file.path).open("rb", buffering=0) as opened:
                for near in range(self._part_bytes, file.size, self._part_bytes):
                    cut = _line_begin(opened.fileno(), near, begin)
                    if cut > begin:
                        yield Part("range", file.path, begin, cut, cut - begin)
                        begin = cut
        except OSError:
            pass  # the worker that opens it will say so
        yield Part("range", file.path, begin, None, file.size - begin)

    def _read_here(self, number: int, file: EventFile) -> Iterator[Part]:
        replay = self._replays.get(number)
        if replay is not None:
            yield from self._grouped(replay.chunks(), file)
            return
        replay = self._replays[number] = Replay()
        source = EventFiles([file.path], chunk_bytes=self._chunk_bytes)
        yield from self._grouped(self._noted(source.chunks(), replay), file)
        if source.problems:
            yield Part("chunks", file.path, problems=tuple(source.problems))

    def _noted(self, chunks: Iterable[Chunk], replay: Replay) -> Iterator[Chunk]:
        for chunk in chunks:
            try:
                replay.note(chunk)
            except OSError as error:
                self.failure = error.strerror or str(error)
            yield chunk

    def _grouped(self, chunks: Iterable[Chunk], file: EventFile) -> Iterator[Part]:
        """Put chunks together; the bytes on disk count once, with the first of them."""
        group: list[Chunk] = []
        size, on_disk = 0, file.size
        for chunk in chunks:
            group.append(chunk)
            size += len(chunk.data)
            if size >= min(FED_BYTES, self._part_bytes):
                yield Part("chunks", file.path, size=on_disk, chunks=tuple(group))
                group, size, on_disk = [], 0, 0
        if group:
            yield Part("chunks", file.path, size=on_disk, chunks=tuple(group))

    @property
    def lost(self) -> int:
        """Count bytes that could not be had a second time."""
        return sum(replay.lost for replay in self._replays.values())

    def close(self) -> None:
        for replay in self._replays.values():
            replay.close()


def _is_plain(file: EventFile) -> bool:
    """Whether a file is lines of JSON for certain; all else is for `EventFiles` to find out."""
    if file.kind != "lines":
        return False
    try:
        with Path(file.path).open("rb") as opened:
            head = opened.read(_HEAD)
    except OSError:
        return False
    return head[:1] == b"{" and head[1:2] != b"\0" and not is_response(head) and not is_spread(head)


def _line_begin(descriptor: int, near: int, least: int) -> int:
    """Give where the last line begins that begins at or before `near`; `least` if none does after it."""
    step = _HEAD
    end = near
    while end > least:
        begin = max(least, end - step)
        newline = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end, step = begin, min(step * 2, 1 << 20)
    return least
