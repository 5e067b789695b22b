"""Bytes of a file or pipe, decompressed, in blocks: what comes out is bounded in memory whatever went in.

Compression is told by the first bytes, never by the name. A file that is cut off or broken gives what could be read,
and then raises `BrokenArchive`, so that the loss is told.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

#: How much is read at once; decompressed blocks are not larger than `_LARGEST`.
_READ: Final = 1 << 16
_LARGEST: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = b"\x2a\x4d\x18"
_OTHERS: Final = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"\x04\x22\x4d\x18": "lz4",
    b"7z\xbc\xaf": "7-zip",
}


class BrokenArchive(Exception):
    """A compressed file that ends too early or is damaged; the message says which."""


class CountedFile:
    """A raw file that knows how much of it has been read, `ahead` bytes of it given back."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._ahead = b""
        self.taken = 0

    def peek(self, size: int) -> bytes:
        """Look at `size` bytes or more without taking them; less only at the end."""
        while len(self._ahead) < size and (more := self._raw.read(_READ)):
            self._ahead += more
        return self._ahead

    def read(self) -> bytes:
        """Take the next block; empty at the end."""
        block, self._ahead = (self._ahead, b"") if self._ahead else (self._raw.read(_READ), b"")
        self.taken += len(block)
        return block


def blocks(file: CountedFile) -> Iterator[bytes]:
    """Give the content of a file in non-empty blocks. Raises BrokenArchive after what was readable, OSError."""
    head = file.peek(6)
    if head.startswith(_GZIP):
        return _gzip(file)
    if head.startswith(_ZSTD) or (head[1:4] == _SKIPPABLE and head[:1] >= b"\x50" and head[:1] < b"\x60"):
        return _zstd(file)
    for magic, name in _OTHERS.items():
        if head.startswith(magic):
            raise BrokenArchive(f"{name} files are not read; decompress it first, or use gzip or zstd")
    return _plain(file)


def _plain(file: CountedFile) -> Iterator[bytes]:
    while block := file.read():
        yield block


def _gzip(file: CountedFile) -> Iterator[bytes]:
    """Decompress all members of a gzip file; zeros behind the last one are padding."""
    member = zlib.decompressobj(31)
    fresh, data = False, b""
    while data or (data := file.read()):
        if fresh:
            data = data.lstrip(b"\0")
            if not data:
                continue
            member, fresh = zlib.decompressobj(31), False
        try:
            out = member.decompress(data, _LARGEST)
        except zlib.error as error:
            raise BrokenArchive(f"the gzip data is damaged ({error})") from None
        data = member.unconsumed_tail
        if out:
            yield out
        if member.eof:
            data, fresh = member.unused_data, True
    if not fresh:
        if rest := member.flush():
            yield rest
        raise BrokenArchive("the gzip data ends too early")


def _zstd(file: CountedFile) -> Iterator[bytes]:
    """Decompress all frames of a Zstandard file; input goes in by small pieces, so that what comes out stays small."""
    import zstandard

    context = zstandard.ZstdDecompressor(max_window_size=1 << 31)
    frame, begun, data = context.decompressobj(), False, b""
    while data or (data := file.read()):
        piece, data = data[:8192], data[8192:]
        if frame.eof:
            frame, begun = context.decompressobj(), False
        try:
            out = frame.decompress(piece)
        except zstandard.ZstdError as error:
            raise BrokenArchive(f"the zstd data is damaged ({error})") from None
        begun = True
        if out:
            yield out
        if frame.eof:
            data = frame.unused_data + data
    if begun and not frame.eof:
        raise BrokenArchive("the zstd data ends too early")
