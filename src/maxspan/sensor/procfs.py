"""Processes that were there before the sensor: read from /proc.

A reading may be half of one process and half of the next one with its number, so the start is read before and after;
and it is believed only where the start agrees with what the kernel side says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from maxspan.sensor.entity import TICK_NS
from maxspan.sensor.records import NO_IMAGE, Ids, Image

PROC: Final = Path("/proc")
ARGS_BYTES: Final = 16384
_DELETED: Final = " (deleted)"


class Running(Struct, gc=False):
    """One process of /proc. `executable` and `directory` are empty where they may not be read, or do not exist."""

    pid: int
    ticks: int
    parent_pid: int
    ids: Ids
    comm: str
    executable: str = ""
    directory: str = ""
    args: list[str] = []
    argc: int = 0
    cgroup_path: str = ""
    image: Image = NO_IMAGE
    kernel: bool = False

    @property
    def start_ns(self) -> int:
        return self.ticks * TICK_NS


class Stat(Struct, gc=False):
    """The part of `/proc/PID/stat` that we use; `tty` is `(major << 20) | minor`."""

    comm: str
    parent_pid: int
    group: int
    session: int
    tty: int
    flags: int
    ticks: int


#: PF_KTHREAD of the kernel's sched.h.
_KERNEL_THREAD: Final = 0x00200000


def read_stat(pid: int, root: Path = PROC) -> Stat | None:
    """Read a process's state; None when it is gone."""
    data = _bytes(root / str(pid) / "stat")
    first, last = data.find(b"("), data.rfind(b")")
    fields = data[last + 2 :].split()
    if first < 0 or len(fields) < 20:
        return None
    tty = int(fields[4])
    return Stat(
        comm=data[first + 1 : last].decode("utf-8", "backslashreplace"),
        parent_pid=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        tty=((tty >> 8) & 0xFFF) << 20 | (tty & 0xFF) | ((tty >> 12) & 0xFFF00),
        flags=int(fields[6]),
        ticks=int(fields[19]),
    )


def read_process(pid: int, root: Path = PROC) -> Running | None:
    """Read all of a process; None when it is gone, or became another one meanwhile."""
    before = read_stat(pid, root)
    if before is None:
        return None
    folder = root / str(pid)
    status = _status(folder / "status")
    raw = _bytes(folder / "cmdline")
    args = raw[:ARGS_BYTES].removesuffix(b"\0").decode("utf-8", "backslashreplace").split("\0") if raw else []
    executable = _link(folder / "exe").removesuffix(_DELETED)
    running = Running(
        pid=pid,
        ticks=before.ticks,
        parent_pid=before.parent_pid,
        ids=_ids(status, before),
        comm=before.comm,
        executable=executable,
        directory=_link(folder / "cwd").removesuffix(_DELETED),
        args=args,
        argc=raw.count(b"\0") or len(args),
        cgroup_path=_cgroup(folder / "cgroup"),
        image=_image(folder / "exe") if executable else NO_IMAGE,
        kernel=bool(before.flags & _KERNEL_THREAD),
    )
    after = read_stat(pid, root)
    return running if after is not None and after.ticks == before.ticks else None


def read_all(root: Path = PROC) -> Iterator[Running]:
    """Read every process that is there, oldest first, so that parents come before their children."""
    found = [running for pid in pids(root) if (running := read_process(pid, root)) is not None]
    yield from sorted(found, key=lambda running: (running.ticks, running.pid))


def pids(root: Path = PROC) -> list[int]:
    """List the pids that are there now."""
    return [int(name) for name in os.listdir(root) if name.isdigit()]  # noqa: PTH208 - thousands of names


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _link(path: Path) -> str:
    try:
        return os.fsencode(os.readlink(path)).decode("utf-8", "backslashreplace")  # noqa: PTH115 - text, not a path
    except OSError:
        return ""


def _status(path: Path) -> dict[bytes, bytes]:
    pairs = (line.partition(b":") for line in _bytes(path).splitlines())
    return {key: value.strip() for key, _, value in pairs}


def _ids(status: dict[bytes, bytes], stat: Stat) -> Ids:
    uids, gids = status.get(b"Uid", b"").split(), status.get(b"Gid", b"").split()
    return Ids(
        uid=int(uids[0]) if uids else 0,
        euid=int(uids[1]) if uids else 0,
        gid=int(gids[0]) if gids else 0,
        egid=int(gids[1]) if gids else 0,
        session=stat.session,
        group=stat.group,
        tty=stat.tty,
        pid_level=max(0, len(status.get(b"NSpid", b"").split()) - 1),
        capabilities_permitted=int(status.get(b"CapPrm", b"0") or b"0", 16),
        capabilities_effective=int(status.get(b"CapEff", b"0") or b"0", 16),
    )


def _cgroup(path: Path) -> str:
    """Give the longest path of the control groups: of version 2 there is one, of version 1 the containers' is long."""
    lines = _bytes(path).decode("utf-8", "backslashreplace").splitlines()
    return max((line.split(":", 2)[-1] for line in lines), key=len, default="")


def _image(path: Path) -> Image:
    try:
        status = path.stat()
    except OSError:
        return NO_IMAGE
    device = os.major(status.st_dev) << 20 | os.minor(status.st_dev)
    return Image(status.st_ino, device, status.st_size, status.st_mode, status.st_mtime_ns, status.st_ctime_ns)
