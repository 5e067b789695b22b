"""One message of the audit subsystem becomes fields: `audit(1700000000.123:456): arch=c000003e syscall=59 ...`.

Values that the kernel does not trust come in quotes, or, when they hold a space, a quote or a byte outside printable
ASCII, as hexadecimal digits. Source: kernel/audit.c (audit_log_untrustedstring), kernel/auditsc.c.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

SYSCALL, PATH, SOCKADDR, CWD, EXECVE, EOE, PROCTITLE = 1300, 1302, 1306, 1307, 1309, 1320, 1327
#: The messages of which events are made; others are not looked at.
WANTED: Final = frozenset({SYSCALL, PATH, SOCKADDR, CWD, EXECVE, EOE})

_HEAD: Final = re.compile(rb"audit\((\d+)\.(\d{3}):(\d+)\):\s*")
_FIELD: Final = re.compile(rb'([A-Za-z_][\w\[\]-]*)=("[^"]*"|[^ ]*)')
_HEX: Final = re.compile(rb"(?:[0-9A-F]{2})+")


class Message(Struct, frozen=True, gc=False):
    """`time_ns` from the epoch, in steps of a millisecond; `serial` is the same for all messages of one event."""

    type: int
    time_ns: int
    serial: int
    fields: dict[str, bytes]


def parse(kind: int, text: bytes) -> Message | None:
    """Read a message; None when it has not the form of one. Values stay as written: see `text_of` and `number`."""
    head = _HEAD.match(text)
    if head is None:
        return None
    fields: dict[str, bytes] = {}
    if kind != EOE:
        for name, value in _FIELD.findall(text.rstrip(b"\n\0"), head.end()):
            fields.setdefault(name.decode("ascii"), value)
    return Message(kind, *_stamp(head), fields)


def stamp_of(text: bytes) -> tuple[int, int] | None:
    """Give time (nanoseconds from the epoch) and serial of a message of any type; None when it has none."""
    head = _HEAD.match(text)
    return None if head is None else _stamp(head)


def _stamp(head: re.Match[bytes]) -> tuple[int, int]:
    seconds, milliseconds, serial = head.groups()
    return int(seconds) * 1_000_000_000 + int(milliseconds) * 1_000_000, int(serial)


def raw_of(value: bytes) -> bytes:
    """Give the bytes of an untrusted value: without quotes, or from hexadecimal digits."""
    if value[:1] == b'"':
        return value[1:-1] if value[-1:] == b'"' and len(value) > 1 else value[1:]
    if _HEX.fullmatch(value):
        return bytes.fromhex(value.decode("ascii"))
    return b"" if value in (b"(null)", b"(none)") else value


def text_of(value: bytes) -> str:
    """Give an untrusted value as text; a byte that is no UTF-8 shows as `\\xNN`."""
    return raw_of(value).decode("utf-8", "backslashreplace")


def number(value: bytes | None, base: int = 10) -> int:
    """Read a number; 0 for one that is missing or unset (4294967295 stands for -1 in ids)."""
    try:
        return int(value or b"0", base)
    except ValueError:
        return 0
