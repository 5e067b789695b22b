"""What audit does not tell and /proc still knows: read after the event, so that it may be gone or have changed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import stat as modes
import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from maxspan.sensor.records import Descriptor, DescriptorType, Flow, Image

_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
#: The same number on every architecture. Source: include/uapi/asm-generic/unistd.h
_PIDFD_GETFD: Final = 438
_IPPROTO_TCP: Final = socket.IPPROTO_TCP
_TCP_INFO: Final = 11
_MAPPED: Final = "::ffff:"
_NULL_DEVICE: Final = os.makedev(1, 3)
#: Major numbers of terminals: consoles and serial lines, /dev/tty and /dev/console, pseudo terminals.
_TTY_MAJORS: Final = frozenset({4, 5, *range(136, 144), 188, 204})
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Stat(Struct, frozen=True, gc=False):
    """Part of `/proc/PID/stat`; `start_ns` counts on the boot clock, in steps of a tick (10 ms)."""

    parent_pid: int
    group: int
    session: int
    tty: int
    start_ns: int


def stat(pid: int) -> Stat | None:
    """Read a process's state; None when it is gone."""
    try:
        data = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = data[data.rfind(b")") + 2 :].split()
    tty = int(fields[4])
    device = ((tty >> 8) & 0xFFF) << 20 | (tty & 0xFF) | ((tty >> 12) & 0xFFF00)
    return Stat(int(fields[1]), int(fields[2]), int(fields[3]), device, int(fields[19]) * _TICK_NS)


def boot_offset_ns() -> int:
    """Nanoseconds from the boot clock to the epoch, now."""
    return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def same_pid_namespace(pid: int) -> bool | None:
    """Tell whether a process counts pids as we do; None when it is gone."""
    try:
        return Path(f"/proc/{pid}/ns/pid").stat().st_ino == Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return None


def is_thread(pid: int, tid: int) -> bool:
    return _is_there(f"/proc/{pid}/task/{tid}")


def link(path: str) -> str:
    """Read a symbolic link; empty when it is gone."""
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def cgroup(pid: int) -> str:
    """Give the path of a process's control group (version 2); empty when it is gone or has none."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text("utf-8", "backslashreplace").splitlines()
    except OSError:
        return ""
    return next((line[3:] for line in lines if line.startswith("0::")), "")


def cgroup_id(path: str) -> int:
    """Give the kernel's number of a control group: the inode of its folder; 0 when that is not mounted."""
    try:
        return Path(f"/sys/fs/cgroup{path}").stat().st_ino
    except OSError:
        return 0


def image(pid: int) -> Image:
    """Describe the file of the program that a process runs; all zero when it is gone."""
    try:
        found = Path(f"/proc/{pid}/exe").stat()
    except OSError:
        return Image()
    device = os.major(found.st_dev) << 20 | os.minor(found.st_dev)
    return Image(found.st_ino, device, found.st_size, found.st_mode, found.st_mtime_ns, found.st_ctime_ns)


def _is_there(path: str) -> bool:
    """Ask /proc for a path: of a process that ends just now, it says so in several ways."""
    try:
        Path(path).stat()
    except OSError:
        return False
    return True


def descriptors(pid: int) -> tuple[Descriptor, ...]:
    """Describe descriptors 0, 1 and 2; empty when the process is gone."""
    out = []
    for number in (0, 1, 2):
        try:
            found = Path(f"/proc/{pid}/fd/{number}").stat()
        except FileNotFoundError:
            if not _is_there(f"/proc/{pid}/fd"):
                return ()
            out.append(Descriptor("closed"))
            continue
        except OSError:
            return ()
        out.append(_descriptor(pid, number, found))
    return tuple(out)


def _descriptor(pid: int, number: int, found: os.stat_result) -> Descriptor:
    mode, device = found.st_mode, os.major(found.st_rdev) << 20 | os.minor(found.st_rdev)
    kind: DescriptorType = "other"
    if modes.S_ISSOCK(mode):
        return Descriptor("socket", 0, found.st_ino, flow_of(pid, number))
    if modes.S_ISFIFO(mode):
        kind = "pipe"
    elif modes.S_ISREG(mode):
        kind = "file"
    elif modes.S_ISDIR(mode):
        kind = "directory"
    elif modes.S_ISBLK(mode):
        kind = "block"
    elif modes.S_ISCHR(mode):
        terminal = os.major(found.st_rdev) in _TTY_MAJORS
        kind = "null" if found.st_rdev == _NULL_DEVICE else "tty" if terminal else "character"
    return Descriptor(kind, device, found.st_ino)


def flow_of(pid: int, number: int) -> Flow | None:
    """Ask a process's socket for both ends, through a copy of the descriptor; None when it is gone or no socket.

    Needs the right to trace the process (root has it)."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        copy = _libc.syscall(_PIDFD_GETFD, pidfd, number, 0)
    finally:
        os.close(pidfd)
    if copy < 0:
        return None
    try:
        with socket.socket(fileno=copy) as found:
            return _flow(found)
    except OSError:
        os.close(copy)
        return None


def _flow(found: socket.socket) -> Flow:
    family, kind, protocol = int(found.family), int(found.type), found.proto
    if family not in (socket.AF_INET, socket.AF_INET6):
        return Flow(family, kind, protocol)
    ends: list[tuple[str, int]] = []
    for ask in (found.getsockname, found.getpeername):
        try:
            host, port = ask()[:2]
        except OSError:
            host, port = "", 0
        ends.append((host.partition("%")[0], port))
    state = 0
    if protocol == _IPPROTO_TCP:
        with contextlib.suppress(OSError):
            state = found.getsockopt(_IPPROTO_TCP, _TCP_INFO, 1)[0]
    return flow(family, kind, protocol, state, *ends)


def flow(family: int, kind: int, protocol: int, state: int, local: tuple[str, int], remote: tuple[str, int]) -> Flow:
    """Make a flow; an IPv6 address that maps an IPv4 one is written as that one."""
    plain = [host.removeprefix(_MAPPED) if "." in host else host for host, _ in (local, remote)]
    if family == socket.AF_INET6 and any("." in host for host in plain):
        family = socket.AF_INET
    return Flow(family, kind, protocol, state, plain[0], local[1], plain[1], remote[1])
