"""The reader of the ring buffer, on memory that is laid out as the kernel does it."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maxspan.sensor import ring
from maxspan.sensor.ring import BUSY, DISCARDED, RingBuffer

PAGE = mmap.PAGESIZE
SIZE = PAGE


class Kernel:
    """The writing side: a file with one page for the reader, one for the writer, and the data twice."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * PAGE + 2 * SIZE)
        self.memory = mmap.mmap(self.fd, 2 * PAGE + 2 * SIZE)
        self.produced = 0

    def room(self) -> int:
        return SIZE - (self.produced - struct.unpack_from("<Q", self.memory, 0)[0])

    def put(self, data: bytes, flags: int = 0) -> int:
        place = self.produced & (SIZE - 1)
        raw = struct.pack("<II", len(data) | flags, 0) + data
        for at, byte in enumerate(raw):
            where = (place + at) % SIZE
            self.memory[2 * PAGE + where] = self.memory[2 * PAGE + SIZE + where] = byte
        self.produced += (len(raw) + 7) & ~7
        struct.pack_into("<Q", self.memory, PAGE, self.produced)
        return place

    def set_flags(self, place: int, word: int) -> None:
        for copy in (0, SIZE):
            struct.pack_into("<I", self.memory, 2 * PAGE + copy + place, word)

    def close(self) -> None:
        self.memory.close()
        os.close(self.fd)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    yield kernel
    kernel.close()


def taken(reader: RingBuffer, limit: int = 1000) -> list[bytes]:
    def decode(memory: mmap.mmap | bytes, at: int) -> bytes:
        (length,) = struct.unpack_from("<I", memory, at - 8)
        return memory[at : at + length]

    return reader.drain(decode, limit)


def test_a_record_that_is_being_written_stops_the_reader(kernel: Kernel) -> None:
    reader = RingBuffer(kernel.fd, SIZE)
    kernel.put(b"first")
    place = kernel.put(b"second", BUSY)
    kernel.put(b"third")
    assert taken(reader) == [b"first"]
    assert taken(reader) == []
    assert reader.pending_bytes == 32
    kernel.set_flags(place, 6)
    assert taken(reader) == [b"second", b"third"]
    assert reader.pending_bytes == 0
    reader.close()


def test_discarded_records_are_passed_over(kernel: Kernel) -> None:
    reader = RingBuffer(kernel.fd, SIZE)
    kernel.put(b"gone", DISCARDED)
    kernel.put(b"here")
    assert taken(reader) == [b"here"]
    reader.close()


def test_the_limit_leaves_the_rest(kernel: Kernel) -> None:
    reader = RingBuffer(kernel.fd, SIZE)
    for number in range(5):
        kernel.put(bytes([number]))
    assert taken(reader, 2) == [b"\0", b"\1"]
    assert taken(reader) == [b"\2", b"\3", b"\4"]
    reader.close()


def test_a_bad_record_is_passed_and_raised(kernel: Kernel) -> None:
    reader = RingBuffer(kernel.fd, SIZE)
    kernel.put(b"bad")
    kernel.put(b"good")

    def decode(memory: mmap.mmap | bytes, at: int) -> bytes:
        if memory[at : at + 3] == b"bad":
            raise ValueError("bad")
        return memory[at : at + 4]

    with pytest.raises(ValueError, match="bad"):
        reader.drain(decode, 10)
    assert reader.drain(decode, 10) == [b"good"]
    reader.close()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=600), max_size=60), st.integers(1, 7), st.booleans())
def test_what_goes_in_comes_out(data: list[bytes], limit: int, ordered: bool) -> None:
    kernel = Kernel()
    reader = RingBuffer(kernel.fd, SIZE)
    before, ring.ORDERED = ring.ORDERED, ordered  # type: ignore[misc]
    out: list[bytes] = []
    try:
        for one in data:
            # Around the end of the ring many times.
            while kernel.room() < len(one) + 16:
                out += taken(reader, limit)
            kernel.put(one)
        while more := taken(reader, limit):
            out += more
    finally:
        ring.ORDERED = before  # type: ignore[misc]
        reader.close()
        kernel.close()
    assert out == data
