"""What was fed, once more, where part of it was read by columns: those files are read again row by row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maxspan.engine.kernel.replay import Replay
from maxspan.sources.chunk import Chunk
from maxspan.sources.files import EventFiles


class MixedReplay(Replay):
    """Takes note of chunks, as `Replay` does, and of rows of Parquet files; gives all in the order it was fed.

    `before` is what was fed so far. Of rows that cannot be had again each counts as a byte in `lost`.
    """

    def __init__(self, before: Replay) -> None:
        super().__init__()
        self._pieces: list[Replay | _Rows] = [before]

    def begin_rows(self, path: str) -> None:
        """All chunks of this path that follow are rows of a Parquet file, until `end_rows`."""
        self._pieces.append(_Rows(path))

    def add_rows(self, rows: int) -> None:
        last = self._pieces[-1]
        assert isinstance(last, _Rows)
        last.rows += rows

    def end_rows(self) -> None:
        self._pieces.append(Replay())

    def note(self, chunk: Chunk) -> None:
        """Remember a chunk. Raises OSError when it has to be copied and there is no room."""
        last = self._pieces[-1]
        if isinstance(last, _Rows):
            last.rows += len(chunk.data.splitlines()) if chunk.data else 0
        else:
            last.note(chunk)

    def chunks(self) -> Iterator[Chunk]:
        """Give everything again."""
        for piece in self._pieces:
            yield from piece.chunks()
            self.lost += piece.lost

    def close(self) -> None:
        for piece in self._pieces:
            if isinstance(piece, Replay):
                piece.close()


class _Rows:
    """So many rows from the beginning of a Parquet file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.rows = 0
        self.lost = 0

    def chunks(self) -> Iterator[Chunk]:
        left = self.rows
        for chunk in EventFiles([Path(self.path)]).chunks() if left else ():
            lines = chunk.data.splitlines(keepends=True)
            if len(lines) > left:  # the file has grown meanwhile
                chunk = Chunk(b"".join(lines[:left]), chunk.path, chunk.first_line)
            left -= min(left, len(lines))
            yield chunk
            if not left:
                return
        self.lost = left
