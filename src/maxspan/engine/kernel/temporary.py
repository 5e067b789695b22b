"""A temporary file without a name that is gone when nobody holds it any more."""

from __future__ import annotations

import os
import tempfile


class TemporaryBytes:
    """Bytes that are only added and read. All methods raise OSError."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="maxspan-", buffering=0)  # noqa: SIM115 (as long as this object)
        self.size = 0

    def add(self, data: bytes | bytearray) -> int:
        """Write bytes behind all others and give where they begin; what cannot be written whole does not count."""
        begin, done = self.size, 0
        with memoryview(data) as view:
            while done < len(data):
                done += os.pwrite(self._file.fileno(), view[done:], begin + done)
        self.size += done
        return begin

    def read(self, begin: int, length: int) -> bytes:
        """Give bytes that were added."""
        parts = []
        while length:
            part = os.pread(self._file.fileno(), length, begin)
            if not part:
                raise OSError("a temporary file is shorter than what was written to it")
            parts.append(part)
            begin += len(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
