"""Which BPF program goes to which hook.

A system call's program gets a cookie with its attachment, so that one program serves many calls: the operation and the
places of the arguments that matter, four bits each (see `on_path` and `on_open` in bpf/files.c).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

# Program -> hook in the kernel (its BTF type is "btf_trace_<hook>"), and the kinds of records that go with it.
TRACE_PROGRAMS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "on_fork": ("sched_process_fork", ("fork",)),
    "on_exec": ("sched_process_exec", ("exec",)),
    "on_exit": ("sched_process_exit", ("exit",)),
    "on_state": ("inet_sock_set_state", ("connect", "connected", "close")),
    "on_module": ("module_load", ("module",)),
}
# Kernels without these are watched all the same.
OPTIONAL_HOOKS: Final = {"module_load": "this kernel has no loadable modules"}

NONE: Final = 0xF
RENAME, UNLINK, RMDIR, LINK, SYMLINK, MKDIR, MKNOD, TRUNCATE = range(1, 9)
UID, GID, SESSION = 1, 2, 3
# creat() has no flags: it always empties the file.
CREATE: Final = 2


def paths(operation: int, folder: int, text: int, second_folder: int = NONE, second_text: int = NONE) -> int:
    """Make the cookie of a call on paths: places of arguments, `NONE` for the working directory or no second path."""
    return operation | folder << 4 | text << 8 | second_folder << 12 | second_text << 16


def flags(place: int, *, pointer: bool = False) -> int:
    """Make the cookie of an open: the place of its flags, or of the pointer to them."""
    return int(pointer) | place << 4


class Syscall(NamedTuple):
    """A program at the end of a system call. `optional`: machines without this old call have the one with -at."""

    program: str
    name: str
    cookie: int = 0
    optional: bool = False


SYSCALLS: Final = (
    Syscall("on_accept", "accept"),
    Syscall("on_accept", "accept4"),
    Syscall("on_connect", "connect"),
    Syscall("on_open", "open", flags(1), optional=True),
    Syscall("on_open", "creat", CREATE, optional=True),
    Syscall("on_open", "openat", flags(2)),
    Syscall("on_open", "openat2", flags(2, pointer=True), optional=True),
    Syscall("on_open", "open_by_handle_at", flags(2), optional=True),
    Syscall("on_path", "rename", paths(RENAME, NONE, 0, NONE, 1), optional=True),
    Syscall("on_path", "renameat", paths(RENAME, 0, 1, 2, 3), optional=True),
    Syscall("on_path", "renameat2", paths(RENAME, 0, 1, 2, 3)),
    Syscall("on_path", "unlink", paths(UNLINK, NONE, 0), optional=True),
    Syscall("on_path", "unlinkat", paths(UNLINK, 0, 1)),
    Syscall("on_path", "rmdir", paths(RMDIR, NONE, 0), optional=True),
    Syscall("on_path", "link", paths(LINK, NONE, 0, NONE, 1), optional=True),
    Syscall("on_path", "linkat", paths(LINK, 0, 1, 2, 3)),
    Syscall("on_path", "symlink", paths(SYMLINK, NONE, 0, NONE, 1), optional=True),
    Syscall("on_path", "symlinkat", paths(SYMLINK, NONE, 0, 1, 2)),
    Syscall("on_path", "mkdir", paths(MKDIR, NONE, 0), optional=True),
    Syscall("on_path", "mkdirat", paths(MKDIR, 0, 1)),
    Syscall("on_path", "mknod", paths(MKNOD, NONE, 0), optional=True),
    Syscall("on_path", "mknodat", paths(MKNOD, 0, 1)),
    Syscall("on_path", "truncate", paths(TRUNCATE, NONE, 0)),
    Syscall("on_bpf", "bpf"),
    Syscall("on_ids", "setuid", UID),
    Syscall("on_ids", "setreuid", UID),
    Syscall("on_ids", "setresuid", UID),
    Syscall("on_ids", "setgid", GID),
    Syscall("on_ids", "setregid", GID),
    Syscall("on_ids", "setresgid", GID),
    Syscall("on_ids", "setsid", SESSION),
)
# What a program of a system call yields.
SYSCALL_KINDS: Final = {
    "on_accept": "accept",
    "on_connect": "datagram",
    "on_open": "open",
    "on_path": "path",
    "on_bpf": "bpf",
    "on_ids": "ids",
}
# Only with watched paths.
FILE_PROGRAMS: Final = ("on_open", "on_path")

# There on x86-64 kernels that run 32-bit programs.
COMPATIBILITY: Final = Path("/proc/sys/abi/vsyscall32")
# "2" where nobody may use io_uring; missing on kernels before 6.6.
IO_URING_DISABLED: Final = Path("/proc/sys/kernel/io_uring_disabled")
IO_URING_KINDS: Final = ("accept", "datagram", "open", "path")


def gaps(compatibility: Path = COMPATIBILITY, io_uring_disabled: Path = IO_URING_DISABLED) -> dict[str, str]:
    """What these hooks cannot see on this host, as `Backend.missing_fields` has it."""
    out = {"path:link": "calls on an absolute path that leads into a watched folder through a symbolic link"}
    if compatibility.exists():
        reason = "32-bit programs: the kernel has no tracepoints for their system calls"
        out.update({f"{kind}:32-bit": reason for kind in SYSCALL_KINDS.values()})
    try:
        disabled = io_uring_disabled.read_text().strip() == "2"
    except OSError:
        disabled = False
    if not disabled:
        reason = "what is done through io_uring instead of a system call"
        out.update({f"{kind}:io_uring": reason for kind in IO_URING_KINDS})
    return out
