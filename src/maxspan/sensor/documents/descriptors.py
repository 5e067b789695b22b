"""What the descriptors 0, 1 and 2 are when a program starts: `process.Ext.stdin`, `stdout` and `stderr`."""

from __future__ import annotations

from typing import Any, Final

from msgspec.json import encode

from maxspan.sensor.records import Descriptor, Flow

_NAMES: Final = ("stdin", "stdout", "stderr")
#: Kinds of character devices; the type of all of them is `character_device`.
_CHARACTER: Final = {"tty": "tty", "null": "null", "character": "other"}
_TYPES: Final = {"block": "block_device"}


#: Parts by the identity of the descriptors, which are kept with it: a number is not reused meanwhile. Backends hand the
#: same object out again and again, and to compare three sockets costs more than to write them.
_parts: dict[int, tuple[tuple[Descriptor, ...], bytes]] = {}
_PARTS: Final = 4096


def descriptors_part(descriptors: tuple[Descriptor, ...]) -> bytes:
    """Give `"stdin":{...},"stdout":{...},"stderr":{...}`; empty when the descriptors are not known."""
    known = _parts.get(id(descriptors))
    if known is not None:
        return known[1]
    if len(_parts) >= _PARTS:
        _parts.clear()
    part = encode({name: _told(one) for name, one in zip(_NAMES, descriptors, strict=False)})[1:-1]
    _parts[id(descriptors)] = (descriptors, part)
    return part


def _told(descriptor: Descriptor) -> dict[str, Any]:
    kind = descriptor.type
    if kind in _CHARACTER:
        device = {"kind": _CHARACTER[kind], "major": descriptor.device >> 20, "minor": descriptor.device & 0xFFFFF}
        return {"type": "character_device", "character_device": device}
    told: dict[str, Any] = {"type": _TYPES.get(kind, kind)}
    if kind == "pipe" and descriptor.inode:
        told["pipe"] = {"inode": str(descriptor.inode)}
    if descriptor.flow is not None:
        told["socket"] = _socket(descriptor.flow)
    return told


def _socket(flow: Flow) -> dict[str, Any]:
    told: dict[str, Any] = {"family": flow.family, "type": flow.type}
    if flow.family in (2, 10):
        told |= {"proto": flow.protocol, "state": flow.state}
        told |= {"src": flow.local, "sport": flow.local_port} if flow.local else {}
        told |= {"dst": flow.remote, "dport": flow.remote_port} if flow.remote else {}
    return told
