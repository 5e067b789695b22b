"""The kernel's ring buffer, read in place through shared memory: no system call and no callback for a record.

Layout (kernel/bpf/ringbuf.c): one page that the reader writes (its position), one page that the kernel writes (its
position), then the data. A record is an 8-byte header, whose first word holds the length and two flags, and the data,
rounded up to 8 bytes. The kernel offers the data twice in a row, so that a record never wraps; here it is mapped once,
since the second time would count as memory of this process too, and the one record a turn that wraps is put together.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import threading
from collections.abc import Callable
from struct import Struct
from typing import Final, TypeVar

BUSY: Final = 1 << 31
DISCARDED: Final = 1 << 30
HEADER: Final = 8
WORD: Final = Struct("<I")
# These machines keep the order of loads. Elsewhere a lock is taken: that orders them too.
ORDERED: Final = platform.machine() in ("x86_64", "AMD64", "i686")

T = TypeVar("T")


class RingBuffer:
    """Reader of the ring buffer behind the map `fd`, whose data area has `size` bytes. There may be only one."""

    def __init__(self, fd: int, size: int) -> None:
        self.size = size
        page = mmap.PAGESIZE
        self._reader = mmap.mmap(fd, page)
        self._data = mmap.mmap(fd, page + size, prot=mmap.PROT_READ, offset=page)
        self._page = page
        self._position = ctypes.c_uint64.from_buffer(self._reader)
        self._produced = Struct("<Q").unpack_from
        self._lock = threading.Lock()

    @property
    def pending_bytes(self) -> int:
        """Bytes that the kernel has put in and that were not read."""
        produced: int = self._produced(self._data, 0)[0]
        return produced - self._position.value

    def drain(self, decode: Callable[[mmap.mmap | bytes, int], T], limit: int) -> list[T]:
        """Decode up to `limit` records, oldest first, and free their places.

        `decode` gets memory and the offset of the record in it, and must copy what it keeps. When it raises, what came
        before is lost to the caller, and the place behind the bad record is where the next call goes on.
        """
        data, first, mask = self._data, self._page, self.size - 1
        end = first + self.size
        position = self._position.value
        produced = self._produced(data, 0)[0]
        word, ordered, lock = WORD.unpack_from, ORDERED, self._lock
        out: list[T] = []
        try:
            while position < produced and len(out) < limit:
                at = first + (position & mask)
                (length,) = word(data, at)
                if length & BUSY:
                    break
                if not ordered:
                    with lock:
                        pass
                if length & DISCARDED:
                    length &= ~DISCARDED
                    position += (length + HEADER + 7) & ~7
                    continue
                position += (length + HEADER + 7) & ~7
                if at + HEADER + length <= end:
                    out.append(decode(data, at + HEADER))
                else:
                    out.append(decode(data[at:end] + data[first : at + HEADER + length - self.size], HEADER))
        finally:
            if not ordered:
                with lock:
                    pass
            self._position.value = position
        return out

    def close(self) -> None:
        """Unmap the memory. The reader must not be used afterwards."""
        self._data.close()
        # ctypes holds on to the memory until its object is gone.
        del self._position
        self._reader.close()
