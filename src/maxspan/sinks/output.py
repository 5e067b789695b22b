"""Where results are written: standard output or a file; what could not be written is never lost in silence."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from maxspan.errors import SinkError


class ClosedPipe(Exception):
    """Whoever read our standard output has gone (`| head`): no error of ours, but there is no point in going on."""


class Output:
    """Bytes to a file or, without a path, to standard output.

    Raises `SinkError` when something cannot be written, and `ClosedPipe` when the reader of a pipe is gone. `close`
    (or the end of a `with` block) flushes and makes sure that all has arrived; it raises likewise.
    """

    def __init__(self, path: Path | None = None, *, stdout: BinaryIO | None = None) -> None:
        self.path = path
        self.name = "standard output" if path is None else str(path)
        self.written = 0
        self._file: BinaryIO
        if path is None:
            self._file = stdout if stdout is not None else sys.stdout.buffer
        else:
            try:
                self._file = path.open("wb")
            except OSError as error:
                raise SinkError(f"cannot write {path}: {error.strerror}") from error

    @property
    def is_terminal(self) -> bool:
        return self._file.isatty()

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failed(error) from error
        self.written += len(data)

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        self.flush()
        if self.path is not None:
            try:
                self._file.close()
            except OSError as error:
                raise self._failed(error) from error

    def _failed(self, error: OSError) -> Exception:
        self._abandon()
        if self.path is None and error.errno in (errno.EPIPE, errno.ESHUTDOWN):
            return ClosedPipe()
        return SinkError(f"cannot write {self.name}: {error.strerror}; what came before may be incomplete")

    def _abandon(self) -> None:
        """Let what is still in the buffer go, or Python would try to write it once more at exit, and complain."""
        if self.path is None:
            if self._file is getattr(sys.stdout, "buffer", None):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, sys.stdout.fileno())
                os.close(nowhere)
        else:
            try:
                self._file.close()
            except OSError:
                return  # said already

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not isinstance(error, SinkError | ClosedPipe):
            self.close()
