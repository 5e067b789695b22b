"""Parts of a record: text, paths, addresses, descriptors, arguments, out of their bytes.

Most of what a record says was said before. `Memory` makes such a part once for equal bytes, so that records share it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final, TypeVar

from maxspan.sensor import layout
from maxspan.sensor.records import Descriptor, DescriptorType, Flow, Image

MEMORY: Final = 4096
MAPPED: Final = bytes(10) + b"\xff\xff"
AF_INET: Final = 2
AF_INET6: Final = 10

# enum fd_type of layout.h
DESCRIPTOR_TYPES: Final[tuple[DescriptorType, ...]] = (
    "closed",
    "file",
    "pipe",
    "character",
    "socket",
    "directory",
    "block",
    "other",
)
TTY_MAJORS: Final = frozenset([4, 5, 204, 229, *range(136, 144)])
NULL_DEVICE: Final = 1 << 20 | 3

T = TypeVar("T")


class Memory(dict[bytes, T]):
    """Values by their bytes, made when first asked for; forgets everything when it is full."""

    def __init__(self, make: Callable[[bytes], T]) -> None:
        super().__init__()
        self.make = make

    def __missing__(self, key: bytes) -> T:
        if len(self) >= MEMORY:
            self.clear()
        value = self[key] = self.make(key)
        return value


def text(raw: bytes) -> str:
    """Decode UTF-8; bytes that are not valid become "\\xNN"."""
    return raw.decode("utf-8", "backslashreplace")


def path_of(names: bytes) -> str:
    """Give the path of names from leaf to root, each ended by NUL: b"b\\0a\\0" is "/a/b", nothing is "/"."""
    parts = text(names).split("\0")
    parts.reverse()
    return ("/".join(parts) or "/") if parts[-1] != "/" else "/"


def address(family: int, raw: bytes) -> str:
    """Write an address; IPv6 that maps IPv4 as IPv4, "" for other families."""
    if family == AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[:4])
    if family == AF_INET6:
        if raw.startswith(MAPPED):
            return socket.inet_ntop(socket.AF_INET, raw[12:])
        return socket.inet_ntop(socket.AF_INET6, raw)
    return ""


def flow_of(raw: bytes) -> Flow:
    family, kind, protocol, state, local_port, remote_port, _, local, remote = layout.FLOW.struct.unpack(raw)
    mapped = family == AF_INET6 and (remote.startswith(MAPPED) or local.startswith(MAPPED))
    local_text, remote_text = address(family, local), address(family, remote)
    if mapped:
        family = AF_INET
        # An end that is not bound yet stays "::" in a mapped connection.
        local_text, remote_text = ("0.0.0.0" if end == "::" else end for end in (local_text, remote_text))
    return Flow(family, kind, protocol, state, local_text, local_port, remote_text, remote_port)


def descriptor_of(raw: bytes) -> Descriptor:
    number, device, inode, flow = layout.DESCRIPTOR.struct.unpack(raw)
    kind: DescriptorType = DESCRIPTOR_TYPES[number] if number < len(DESCRIPTOR_TYPES) else "other"
    if kind == "character":
        kind = "tty" if device >> 20 in TTY_MAJORS else "null" if device == NULL_DEVICE else kind
    if kind == "socket":
        return Descriptor(kind, device, inode, flow_of(flow))
    return Descriptor(kind, device, inode)


def image_of(raw: bytes) -> Image:
    inode, size, modified_s, changed_s, modified_ns, changed_ns, device, mode = layout.IMAGE.struct.unpack(raw)
    return Image(
        inode, device, size, mode, modified_s * 1_000_000_000 + modified_ns, changed_s * 1_000_000_000 + changed_ns
    )


def arguments_of(raw: bytes) -> list[str]:
    """Split what lies in a process's memory: each argument ended by NUL (the last may be cut)."""
    if not raw:
        return []
    if raw[-1] == 0:
        raw = raw[:-1]
    return raw.decode("utf-8", "backslashreplace").split("\0")


def joined(base: str, given: str) -> str:
    """Join a folder and a path that a program gave, and take out ".", ".." and double slashes."""
    parts: list[str] = [] if given.startswith("/") and base == "/" else [part for part in base.split("/") if part]
    for part in given.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part and part != ".":
            parts.append(part)
    return "/" + "/".join(parts)
