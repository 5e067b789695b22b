"""Names of capabilities and of the taints of kernel modules."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from msgspec.json import encode

#: By number. Source: include/uapi/linux/capability.h
CAPABILITIES: Final[tuple[str, ...]] = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
)
#: Letters of /proc/sys/kernel/tainted by bit. Source: Documentation/admin-guide/tainted-kernels.rst
TAINTS: Final = "PFSRMBUDAWCIOELKXTNJ"


@lru_cache(maxsize=256)
def capability_names(mask: int) -> bytes:
    """Give the names of a mask as a JSON list; bits without a name as CAP_<number>."""
    known = len(CAPABILITIES)
    return encode(
        [f"CAP_{CAPABILITIES[bit] if bit < known else bit}" for bit in range(mask.bit_length()) if mask >> bit & 1]
    )


@lru_cache(maxsize=256)
def capabilities_part(effective: int, permitted: int) -> bytes:
    """Give `,"capabilities":{"effective":[...],"permitted":[...]}`."""
    names = capability_names(effective), capability_names(permitted)
    return b',"capabilities":{"effective":%b,"permitted":%b}' % names


def taint_letters(mask: int) -> str:
    """Give the letters that the kernel prints for a mask of taints."""
    return "".join(letter for bit, letter in enumerate(TAINTS) if mask >> bit & 1)
