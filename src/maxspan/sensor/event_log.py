"""Lines kept in a file that is rotated by size. A full disk is told and counted, and never stops the watch."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from maxspan.errors import SinkError

#: After a failure, wait this long before the next try.
RETRY_S: Final = 1.0
_MODE: Final = 0o600


class EventLog:
    """Appends lines to `path`; at `max_bytes` it becomes `path.1`, the older ones `path.2` ... `path.<keep>`.

    Command lines may hold secrets: a new file is readable by its owner only. `max_bytes` of 0 never rotates. Whole
    lines only: what was written of a line that did not fit is cut off again. A file that was removed or moved away
    meanwhile (logrotate) is begun anew under its name, and `anew` counts that. Raises SinkError when the file cannot be
    opened at the start; later failures are in `failure` and in the counts.
    """

    def __init__(self, path: Path, *, max_bytes: int = 0, keep: int = 0) -> None:
        self.path = path
        self.written = 0
        self.not_written = 0
        self.anew = 0
        #: Why the last write failed; empty while all is well.
        self.failure = ""
        self._max_bytes = max_bytes
        self._keep = keep
        self._retry_at = 0.0
        self._file = -1
        self._size = 0
        self._regular = True
        try:
            self._open()
        except OSError as error:
            raise SinkError(f"cannot write {path}: {error.strerror}") from error

    def write(self, lines: list[bytes]) -> None:
        """Append lines (without newline); give them up and count them when that is not possible."""
        if not lines:
            return
        data = b"\n".join(lines) + b"\n"
        if time.monotonic() < self._retry_at:
            self.not_written += len(lines)
            return
        try:
            self._follow_name()
            if self._file < 0:
                self._open()
            if self._max_bytes and self._size and self._size + len(data) > self._max_bytes:
                self._rotate()
            self._append(data)
        except OSError as error:
            self.failure = error.strerror or str(error)
            self.not_written += len(lines)
            self._retry_at = time.monotonic() + RETRY_S
            return
        self.failure = ""
        self.written += len(lines)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _follow_name(self) -> None:
        """Close the file if it has not its name any more: what is written to it then would be gone, or elsewhere."""
        if self._file < 0 or not self._regular:
            return
        mine = os.fstat(self._file)
        try:
            named = self.path.stat()
        except FileNotFoundError:
            pass
        else:
            if (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino):
                self._size = mine.st_size  # somebody may have cut it
                return
        self.close()
        self._open()
        self.anew += 1

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, _MODE)
        status = os.fstat(self._file)
        self._regular = stat.S_ISREG(status.st_mode)
        self._size = status.st_size if self._regular else 0
        if self._size and os.pread(self._file, 1, self._size - 1) != b"\n":
            self._append(b"\n")  # somebody was stopped within a line

    def _append(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            if self._regular and len(rest) < len(data):
                with suppress(OSError):  # the failure behind this one is told
                    os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)

    def _rotate(self) -> None:
        """Move the files up by one; the last one goes."""
        self.close()
        if not self._regular:
            self._open()
            return
        for number in range(self._keep, 0, -1):
            older = self.path if number == 1 else self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        if not self._keep:
            self.path.unlink(missing_ok=True)
        self._open()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
