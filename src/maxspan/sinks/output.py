"""Where results are written: standard output or a file; what could not be written is never lost in silence."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Self, cast

from maxspan.errors import SinkError


class ClosedPipe(Exception):
    """Whoever read our standard output has gone (`| head`): no error of ours, but there is no point in going on."""


class Output:
    """Bytes to a file or, without a path, to standard output.

    A file appears under its name only when everything has been written: until then the name keeps what it had before.
    Devices and pipes, and files in a folder where nothing new may be made, are written directly.

    Raises `SinkError` when something cannot be written, and `ClosedPipe` when the reader of a pipe is gone. `close`
    (or the end of a `with` block) flushes and makes sure that all has arrived; it raises likewise. A `with` block that
    an exception ends leaves no file.
    """

    def __init__(self, path: Path | None = None, *, stdout: BinaryIO | None = None) -> None:
        self.path = path
        self.name = "standard output" if path is None else str(path)
        self.written = 0
        self._partial: Path | None = None
        self._target = Path()
        self._file: BinaryIO
        if path is None:
            if stdout is None and sys.stdout is None:
                raise SinkError("cannot write standard output: it is closed")
            self._file = stdout if stdout is not None else sys.stdout.buffer
        else:
            try:
                self._file = self._open(path)
            except OSError as error:
                raise SinkError(f"cannot write {path}: {error.strerror}") from error

    def _open(self, path: Path) -> BinaryIO:
        self._target = path.resolve()
        mode = self._target.stat().st_mode if self._target.exists() else None
        if mode is not None and not stat.S_ISREG(mode):
            return self._target.open("wb")
        if mode is not None and not os.access(self._target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        partial = self._target.with_name(f".{self._target.name[:200]}.{os.getpid()}.partial")
        try:
            file = partial.open("wb")
        except PermissionError:
            if mode is None:
                raise
            return self._target.open("wb")
        self._partial = partial
        if mode is not None:
            with suppress(OSError):  # a file system without modes
                partial.chmod(stat.S_IMODE(mode))
        return file

    @property
    def is_terminal(self) -> bool:
        return self._file.isatty()

    def fileno(self) -> int:
        return self._file.fileno()

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
        if self.path is None:
            return
        try:
            if self._partial is not None:
                os.fsync(self._file.fileno())
            self._file.close()
            if self._partial is not None:
                self._partial.replace(self._target)
                self._partial = None
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> Exception:
        kept = "the file was left as it was" if self._partial is not None else "what came before may be incomplete"
        self._abandon()
        if self.path is None and error.errno in (errno.EPIPE, errno.ESHUTDOWN):
            return ClosedPipe()
        return SinkError(f"cannot write {self.name}: {error.strerror}; {kept}")

    def _abandon(self) -> None:
        """Let what is still in the buffer go, or Python would try to write it once more at exit, and complain."""
        if self.path is None:
            if self._file is getattr(sys.stdout, "buffer", None):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, sys.stdout.fileno())
                os.close(nowhere)
            return
        with suppress(OSError):  # the error behind this has been told
            self._file.close()
        if self._partial is not None:
            with suppress(OSError):
                self._partial.unlink()
            self._partial = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None or (self.path is None and not isinstance(error, SinkError | ClosedPipe)):
            self.close()
        else:
            self._abandon()


def text_file(output: Output) -> IO[str]:
    """Give `output` as the text file that a console prints to; it is closed with the output, not by itself."""
    return cast(IO[str], _TextFile(output))


class _TextFile:
    """The few methods of a text file that a console needs. (A real one would flush once more when collected.)"""

    def __init__(self, output: Output) -> None:
        self._output = output
        known = getattr(sys.stdout, "encoding", None) if output.path is None else None
        self.encoding = known or "utf-8"
        self.flush = output.flush
        self.fileno = output.fileno

    def isatty(self) -> bool:
        return self._output.is_terminal

    def write(self, text: str) -> int:
        self._output.write(text.encode(self.encoding, "backslashreplace"))
        return len(text)
