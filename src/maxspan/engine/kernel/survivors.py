"""Events that fulfil some stage: their lines, kept until it is known whether they are part of a match."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple
from weakref import ReferenceType, ref

from maxspan.engine.kernel.temporary import TemporaryBytes
from maxspan.engine.match import MatchedEvent

#: Lines beyond this many bytes go to temporary files.
IN_MEMORY: Final = 32 << 20
#: lines are kept and forgotten in segments of this size
SEGMENT: Final = 2 << 20
#: one temporary file holds so many bytes
_FILE: Final = 256 << 20


class Segment:
    """Some lines, one after another: in memory, or at a place in a temporary file."""

    __slots__ = ("__weakref__", "base", "data", "file", "size")

    def __init__(self) -> None:
        self.data: bytearray | None = bytearray()
        self.size = 0
        self.file: TemporaryBytes | None = None
        self.base = 0

    def read(self, offset: int, length: int) -> bytes:
        if self.data is not None:
            return bytes(self.data[offset : offset + length])
        assert self.file is not None
        return self.file.read(self.base + offset, length)


class Kept(NamedTuple):
    """Where a line is; while somebody holds this, the line is there."""

    segment: Segment
    offset: int
    length: int


class LineStore:
    """Keeps lines of events: in memory up to a bound, in temporary files above it.

    A segment of lines is forgotten, with its room on disk, when nobody holds a `Kept` of it any more. When a file
    cannot be written (a full disk), lines stay in memory and `failure` says why.
    """

    def __init__(self, in_memory: int = IN_MEMORY, segment: int = SEGMENT) -> None:
        self._bound = in_memory
        self._segment_bytes = min(segment, max(1, in_memory))
        self._segment = Segment()
        self._full: deque[ReferenceType[Segment]] = deque()
        self._file: TemporaryBytes | None = None
        self.failure = ""

    def keep(self, line: bytes) -> Kept:
        """Keep a line and give what `read` takes."""
        segment = self._segment
        assert segment.data is not None
        kept = Kept(segment, len(segment.data), len(line))
        segment.data += line
        if len(segment.data) >= self._segment_bytes:
            segment.size = len(segment.data)
            self._full.append(ref(segment))
            self._segment = Segment()
            self._make_room()
        return kept

    def read(self, kept: bytes | Kept) -> bytes:
        """Give a line that was kept. Raises OSError when the temporary file cannot be read."""
        return kept if isinstance(kept, bytes) else kept.segment.read(kept.offset, kept.length)

    def _make_room(self) -> None:
        """Write the oldest segments that are in memory, and still needed, until few enough are left there."""
        alive = [(segment, one) for one in self._full if (segment := one()) is not None]
        total = sum(segment.size for segment, _ in alive)
        self._full = deque(one for _, one in alive)
        for segment, _ in alive:
            if total <= self._bound or self.failure:
                return
            try:
                self._write(segment)
            except OSError as error:
                self.failure = error.strerror or str(error)
                return
            total -= segment.size
            self._full.popleft()

    def _write(self, segment: Segment) -> None:
        assert segment.data is not None
        if self._file is None or self._file.size >= _FILE:
            self._file = TemporaryBytes()
        segment.base = self._file.add(segment.data)
        segment.file, segment.data = self._file, None

    def close(self) -> None:
        """Let go of all that nobody else holds."""
        self._segment, self._full, self._file = Segment(), deque(), None


@dataclass(slots=True)
class Survivor:
    """One event on the way to a match; `kept` is its line, or where that is."""

    kept: bytes | Kept
    position: int
    path: str
    line: int
    index: str
    id: str

    def keep(self, store: LineStore) -> None:
        """Put the line into a store, if it is not in one."""
        if isinstance(self.kept, bytes):
            self.kept = store.keep(self.kept)

    def matched(self, store: LineStore, timestamp_ns: int | None) -> MatchedEvent:
        """Give the event as a match holds it."""
        return MatchedEvent(
            store.read(self.kept), timestamp_ns, self.position, self.path, self.line, self.index, self.id
        )
