"""SHA-256 of executables: once for each content, by a thread of its own.

An event does not wait long for a hash. Of a batch of events, the programs that were never seen go to the thread at
once, and the whole batch waits a few milliseconds for them (`wait`). What is not ready by then is missing from that
event and counted; later events of the same process have it.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Full, Queue, SimpleQueue
from typing import Final

from msgspec import Struct

Key = tuple[int, ...]

CACHE: Final = 16_384
QUEUE: Final = 1024
#: Larger files have no hash.
LIMIT_BYTES: Final = 256 * 1024 * 1024
#: What a batch waits at most.
WAIT_S: Final = 0.02
_BLOCK: Final = 1 << 20
#: Places in a key (see `processes.key_of`).
_SIZE, _MODIFIED = 2, 3


class HashCounters(Struct):
    """Programs hashed, too large, gone or not readable, left out because the queue was full; events without a hash."""

    hashed: int = 0
    too_large: int = 0
    unreadable: int = 0
    refused: int = 0
    events_without: int = 0


class Hashes:
    """`get` gives what is known, `ask` orders what is not. One thread calls both; `close` ends the worker.

    `know` is told of each file of which all is known."""

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES, know: Callable[[Key], None] = lambda key: None) -> None:
        self.counters = HashCounters()
        self._know = know
        self._limit = limit_bytes
        self._known: OrderedDict[Key, bytes] = OrderedDict()
        self._pending: set[Key] = set()
        self._orders: Queue[tuple[Key, int, str] | None] = Queue(QUEUE)
        self._results: SimpleQueue[tuple[Key, bytes, str]] = SimpleQueue()
        self._worker = threading.Thread(target=self._work, name="maxspan-hash", daemon=True)
        self._worker.start()

    def get(self, key: Key) -> bytes:
        """Give `,"hash":{...}` for a file, empty when it is not known (yet)."""
        part = self._known.get(key)
        return part if part is not None else b""

    def known(self, key: Key) -> bool:
        """True when there is nothing to wait for: the hash is there, or the file is too large for one."""
        return not key or key in self._known

    def ask(self, key: Key, pid: int, path: str) -> None:
        """Order a file that is not known: as the program of the process `pid`, else by its path."""
        if not key or key in self._known or key in self._pending:
            return
        try:
            self._orders.put_nowait((key, pid, path))
        except Full:
            self.counters.refused += 1
            return
        self._pending.add(key)

    def wait(self, keys: list[Key], timeout_s: float = WAIT_S) -> None:
        """Take in results until all of `keys` are known, or time is up."""
        self.collect()
        deadline = time.monotonic() + timeout_s
        while any(key in self._pending for key in keys):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            with suppress(Empty):
                self._take(*self._results.get(timeout=left))

    def collect(self) -> None:
        """Take in what the thread has done."""
        with suppress(Empty):
            while True:
                self._take(*self._results.get_nowait())

    def close(self) -> None:
        """End the thread, without waiting for a file that it reads."""
        with suppress(Full):
            self._orders.put_nowait(None)

    def _take(self, key: Key, part: bytes, outcome: str) -> None:
        self._pending.discard(key)
        setattr(self.counters, outcome, getattr(self.counters, outcome) + 1)
        if outcome == "unreadable":
            return  # another process may still have it open
        self._known[key] = part
        self._know(key)
        if len(self._known) > CACHE:
            self._known.popitem(last=False)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            key, pid, path = order
            self._results.put((key, *self._hash(key, (f"/proc/{pid}/exe", path))))

    def _hash(self, key: Key, paths: tuple[str, ...]) -> tuple[bytes, str]:
        if key[_SIZE] > self._limit:
            return b"", "too_large"
        for path in paths:
            try:
                digest = _digest(path, key)
            except OSError:
                continue
            if digest:
                return b',"hash":{"sha256":"%b"}' % digest.encode(), "hashed"
        return b"", "unreadable"


def _digest(path: str, key: Key) -> str:
    """Hash a file if it is the one of `key`: same size and time of change. (Layered file systems renumber inodes.)"""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(file)
        if (status.st_size, status.st_mtime_ns) != (key[_SIZE], key[_MODIFIED]):
            return ""
        digest = hashlib.sha256()
        while block := os.read(file, _BLOCK):
            digest.update(block)
        return digest.hexdigest()
    finally:
        os.close(file)
