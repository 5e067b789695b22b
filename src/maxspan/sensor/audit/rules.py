"""Which system calls the kernel is asked to report, as audit rules with a key of our own.

Source: uapi/linux/audit.h (struct audit_rule_data), the system call tables of the kernel, auditctl(8).
"""

from __future__ import annotations

import glob
import platform
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from maxspan.errors import SensorError

#: Every rule of ours has this before the pid of the process that loaded it: `maxspan:1234`.
KEY_PREFIX: Final = b"maxspan:"

FILTER_EXIT, ALWAYS = 4, 2
FIELD_ARCH, FIELD_SUCCESS, FIELD_WATCH, FIELD_PERM, FIELD_DIR, FIELD_SADDR_FAM, FIELD_KEY = (
    11,
    104,
    105,
    106,
    107,
    113,
    210,
)
EQUAL: Final = 0x40000000
PERM_WRITE: Final = 2
AF_INET, AF_INET6 = 2, 10

_HEAD: Final = struct.Struct("=3I")
_ARRAY: Final = struct.Struct("=64I")
_STRING_FIELDS: Final = frozenset({FIELD_WATCH, FIELD_DIR, FIELD_KEY})
PACKED_BYTES: Final = _HEAD.size + 4 * _ARRAY.size + 4

ARCH_X86_64, ARCH_I386, ARCH_AARCH64, ARCH_ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028

#: System calls by architecture: name -> number, those that are watched.
SYSCALLS: Final[dict[int, dict[str, int]]] = {
    ARCH_X86_64: {
        "execve": 59,
        "execveat": 322,
        "connect": 42,
        "accept": 43,
        "accept4": 288,
        "clone": 56,
        "fork": 57,
        "vfork": 58,
        "clone3": 435,
        "exit_group": 231,
        "open": 2,
        "creat": 85,
        "openat": 257,
        "openat2": 437,
        "rename": 82,
        "renameat": 264,
        "renameat2": 316,
        "unlink": 87,
        "unlinkat": 263,
        "rmdir": 84,
        "link": 86,
        "linkat": 265,
        "symlink": 88,
        "symlinkat": 266,
        "mkdir": 83,
        "mkdirat": 258,
        "mknod": 133,
        "mknodat": 259,
        "truncate": 76,
    },
    ARCH_AARCH64: {
        "execve": 221,
        "execveat": 281,
        "connect": 203,
        "accept": 202,
        "accept4": 242,
        "clone": 220,
        "clone3": 435,
        "exit_group": 94,
        "openat": 56,
        "openat2": 437,
        "renameat": 38,
        "renameat2": 276,
        "unlinkat": 35,
        "linkat": 37,
        "symlinkat": 36,
        "mkdirat": 34,
        "mknodat": 33,
        "truncate": 45,
    },
    ARCH_I386: {
        "execve": 11,
        "execveat": 358,
        "connect": 362,
        "accept4": 364,
        "exit_group": 252,
        "fork": 2,
        "clone": 120,
    },
    ARCH_ARM: {
        "execve": 11,
        "execveat": 387,
        "connect": 283,
        "accept4": 366,
        "exit_group": 248,
        "fork": 2,
        "clone": 120,
    },
}
_MACHINES: Final = {"x86_64": (ARCH_X86_64, ARCH_I386), "aarch64": (ARCH_AARCH64, ARCH_ARM)}

_ACCEPTS: Final = frozenset(
    (b"%x" % arch, b"%d" % calls[name])
    for arch, calls in SYSCALLS.items()
    for name in ("accept", "accept4")
    if name in calls
)
#: What can be renamed, removed, linked: the calls that a watched folder reports beside opening.
NAMES: Final[dict[str, str]] = {
    "rename": "rename",
    "renameat": "rename",
    "renameat2": "rename",
    "unlink": "unlink",
    "unlinkat": "unlink",
    "rmdir": "rmdir",
    "link": "link",
    "linkat": "link",
    "symlink": "symlink",
    "symlinkat": "symlink",
    "mkdir": "mkdir",
    "mkdirat": "mkdir",
    "mknod": "mknod",
    "mknodat": "mknod",
    "truncate": "truncate",
}
OPENING: Final = frozenset({"open", "creat", "openat", "openat2"})


class Rule(Struct, frozen=True):
    """One rule of the exit filter: system calls (numbers; empty is every call), and fields that must all hold.

    `fields` are (number, value); the value of a text field (`FIELD_DIR`, `FIELD_WATCH`) is bytes."""

    syscalls: tuple[int, ...]
    fields: tuple[tuple[int, int | bytes], ...]

    def pack(self, pid: int) -> bytes:
        """Write the rule as the kernel's struct audit_rule_data, with the key of process `pid`."""
        fields = (*self.fields, (FIELD_KEY, b"%s%d" % (KEY_PREFIX, pid)))
        mask = [0] * 64
        for number in self.syscalls or range(64 * 32):
            mask[number // 32] |= 1 << (number % 32)
        numbers, values, text = [0] * 64, [0] * 64, b""
        for position, (number, value) in enumerate(fields):
            numbers[position] = number
            values[position] = value if isinstance(value, int) else len(value)
            text += value if isinstance(value, bytes) else b""
        flags = [EQUAL] * len(fields) + [0] * (64 - len(fields))
        head = _HEAD.pack(FILTER_EXIT, ALWAYS, len(fields))
        arrays = b"".join(_ARRAY.pack(*array) for array in (mask, numbers, values, flags))
        return head + arrays + struct.pack("=I", len(text)) + text


def key_of(rule: bytes) -> bytes:
    """Give the key of a rule as the kernel lists it; empty for one without a key, or not readable."""
    if len(rule) < PACKED_BYTES:
        return b""
    count = min(_HEAD.unpack_from(rule)[2], 64)
    numbers = _ARRAY.unpack_from(rule, _HEAD.size + _ARRAY.size)
    values = _ARRAY.unpack_from(rule, _HEAD.size + 2 * _ARRAY.size)
    at = PACKED_BYTES
    for number, value in zip(numbers[:count], values[:count], strict=True):
        if number == FIELD_KEY:
            return rule[at : at + value]
        if number in _STRING_FIELDS:
            at += value
    return b""


def is_accept(call: Mapping[str, bytes]) -> bool:
    """Tell whether the fields of a SYSCALL message are those of an accept."""
    return (call.get("arch"), call.get("syscall")) in _ACCEPTS


def owner_of(rule: bytes) -> int:
    """Give the pid of the maxspan that loaded a rule; 0 for a rule of somebody else."""
    key = key_of(rule)
    number = key.removeprefix(KEY_PREFIX)
    return int(number) if key.startswith(KEY_PREFIX) and number.isdigit() else 0


def architectures() -> tuple[int, ...]:
    """Give the audit numbers of this machine's architecture and of the 32-bit one that it may run, in this order."""
    machine = platform.machine()
    if machine not in _MACHINES:
        raise SensorError(f"the audit backend knows no system calls of {machine!r}: x86_64 and aarch64 only")
    return _MACHINES[machine]


def watch_rules(architectures: Iterable[int]) -> list[Rule]:
    """Rules for processes and connections, for each architecture."""
    out: list[Rule] = []
    for arch in architectures:
        calls = SYSCALLS[arch]

        def numbers(*names: str, calls: dict[str, int] = calls) -> tuple[int, ...]:
            return tuple(calls[name] for name in names if name in calls)

        head = (FIELD_ARCH, arch)
        out.append(Rule(numbers("execve", "execveat"), (head, (FIELD_SUCCESS, 1))))
        out.append(Rule(numbers("clone", "clone3", "fork", "vfork"), (head, (FIELD_SUCCESS, 1))))
        out.append(Rule(numbers("exit_group"), (head,)))
        out.append(Rule(numbers("accept", "accept4"), (head, (FIELD_SUCCESS, 1))))
        for family in (AF_INET, AF_INET6):
            out.append(Rule(numbers("connect"), (head, (FIELD_SADDR_FAM, family))))
    return out


def file_rules(paths: Sequence[str]) -> list[Rule]:
    """Rules for writing below folders and to files, those that exist; of a file that does not, its folder must.

    A "*" in a path stands for the names that are there now."""
    out = []
    for path in paths:
        for found in sorted(glob.glob(path)) if "*" in path else [path]:  # noqa: PTH207 - absolute patterns
            place = Path(found)
            if place.is_dir():
                kind = FIELD_DIR
            elif place.parent.is_dir():
                kind = FIELD_WATCH
            else:
                continue
            out.append(Rule((), ((kind, str(place).encode()), (FIELD_PERM, PERM_WRITE))))
    return out
