"""Events that fulfil some stage: their lines, kept until it is known whether they are part of a match."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import IO, Final

from maxspan.engine.match import MatchedEvent

#: Lines beyond this many bytes go to a temporary file.
IN_MEMORY: Final = 32 << 20


class LineStore:
    """Keeps lines of events: in memory up to a bound, in a temporary file above it.

    When the file cannot be written (a full disk), lines stay in memory and `failure` says why.
    """

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._left = in_memory
        self._file: IO[bytes] | None = None
        self._end = 0
        self._has_read = False
        self.failure = ""

    def keep(self, line: bytes) -> bytes | tuple[int, int]:
        """Keep a line and give what `read` takes."""
        if self._left > 0 or self.failure:
            self._left -= len(line)
            return line
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="maxspan-")  # noqa: SIM115 (lives as long as the store)
            if self._has_read:
                self._file.seek(self._end)
                self._has_read = False
            self._file.write(line)
        except OSError as error:
            self.failure = error.strerror or str(error)
            return line
        place = self._end, len(line)
        self._end += len(line)
        return place

    def read(self, kept: bytes | tuple[int, int]) -> bytes:
        """Give a line that was kept. Raises OSError when the temporary file cannot be read."""
        if isinstance(kept, bytes):
            return kept
        assert self._file is not None
        self._has_read = True
        self._file.seek(kept[0])
        return self._file.read(kept[1])

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(frozen=True, slots=True)
class Survivor:
    """One event on the way to a match; `kept` is where its line is."""

    kept: bytes | tuple[int, int]
    position: int
    path: str
    line: int
    index: str
    id: str

    def matched(self, store: LineStore, timestamp_ns: int | None) -> MatchedEvent:
        """Give the event as a match holds it."""
        return MatchedEvent(
            store.read(self.kept), timestamp_ns, self.position, self.path, self.line, self.index, self.id
        )
