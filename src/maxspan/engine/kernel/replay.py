"""The events once more, for rules that have to be run again: from their files, or kept aside where there are none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from maxspan.sources.chunk import Chunk
from maxspan.sources.files import EventFiles

#: what does not come from a file is kept in memory up to so many bytes, and beyond in a temporary file
IN_MEMORY: Final = 32 << 20


class Replay:
    """Takes note of chunks and gives the same lines again, in the same order.

    Of a file only its name and how much of it was fed is kept; the bytes of other sources are copied. `lost` counts
    bytes that could not be had a second time, because a file has changed or is gone.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._parts: list[tuple[str, int, list[tuple[int, int]]]] = []
        self._is_file: dict[str, bool] = {}
        self._spool: IO[bytes] | None = None

    def note(self, chunk: Chunk) -> None:
        """Remember a chunk. Raises OSError when it has to be copied and there is no room."""
        path, size = chunk.path, len(chunk.data)
        is_file = self._is_file.get(path)
        if is_file is None:
            is_file = self._is_file[path] = Path(path).is_file()
        if not self._parts or self._parts[-1][0] != path:
            self._parts.append((path, 0, []))
        name, known, copies = self._parts[-1]
        if not is_file:
            if self._spool is None:
                self._spool = tempfile.SpooledTemporaryFile(IN_MEMORY, prefix="maxspan-")  # noqa: SIM115 (until close)
            self._spool.write(chunk.data)
            copies.append((size, chunk.first_line))
        self._parts[-1] = name, known + size, copies

    def chunks(self) -> Iterator[Chunk]:
        """Give everything again."""
        if self._spool is not None:
            self._spool.seek(0)
        for path, size, copies in self._parts:
            if copies:
                for length, first_line in copies:
                    assert self._spool is not None
                    yield Chunk(self._spool.read(length), path, first_line)
            else:
                yield from self._again(path, size)

    def _again(self, path: str, size: int) -> Iterator[Chunk]:
        left = size
        for chunk in EventFiles([Path(path)]).chunks():
            if len(chunk.data) > left:  # the file has grown meanwhile
                chunk = Chunk(chunk.data[:left], chunk.path, chunk.first_line)
            left -= len(chunk.data)
            if chunk.data:
                yield chunk
            if not left:
                return
        self.lost += left

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None
