"""System call tracepoints: where tracefs says they are, and the perf events that programs are attached to.

Where tracefs is not mounted, root gets a mount of its own that nobody else sees and that goes with the process.
"""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path
from struct import Struct
from typing import Final

from maxspan.errors import SensorError

MOUNTS: Final = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
FSOPEN, FSCONFIG, FSMOUNT = 430, 431, 432
FSCONFIG_CMD_CREATE: Final = 6
CLOEXEC: Final = 1
PERF_EVENT_OPEN: Final = {"x86_64": 298, "aarch64": 241, "riscv64": 241}
PERF_TYPE_TRACEPOINT: Final = 2
PERF_FLAG_FD_CLOEXEC: Final = 8
# The first version of struct perf_event_attr: type, size, config, and what is left at zero.
ATTRIBUTES: Final = Struct("<IIQ48x")


class Tracepoints:
    """Opens perf events for `syscalls` tracepoints. Use as a context manager while attaching.

    Raises SensorError with a remedy when tracefs is missing or may not be read."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._number = PERF_EVENT_OPEN.get(platform.machine(), 0)
        if not self._number:
            raise SensorError(f"the BPF sensor does not know this machine ({platform.machine()}); use --backend audit")
        self._root = self._open()

    def __enter__(self) -> Tracepoints:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def _open(self) -> int:
        denied: OSError | None = None
        for mount in MOUNTS:
            try:
                return os.open(mount / "events" / "syscalls", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            except PermissionError as error:
                denied = error
            except OSError:
                continue
        if denied:
            raise SensorError(f"{denied.filename} may not be read: run as root or with CAP_DAC_READ_SEARCH")
        root = self._mount()
        try:
            return os.open("events/syscalls", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
        except OSError as error:
            raise SensorError(
                "this kernel has no system call tracepoints (CONFIG_FTRACE_SYSCALLS); use --backend audit"
            ) from error
        finally:
            os.close(root)

    def _mount(self) -> int:
        """Mount tracefs without a place in the file system."""
        call = self._libc.syscall
        context = call(FSOPEN, b"tracefs", CLOEXEC)
        if context >= 0:
            try:
                if call(FSCONFIG, context, FSCONFIG_CMD_CREATE, None, None, 0) == 0:
                    mount = call(FSMOUNT, context, CLOEXEC, 0)
                    if mount >= 0:
                        return int(mount)
            finally:
                number = ctypes.get_errno()
                os.close(context)
                ctypes.set_errno(number)
        reason = os.strerror(ctypes.get_errno())
        raise SensorError(
            f"tracefs is not mounted, and mounting it failed ({reason}): as root run "
            f"'mount -t tracefs tracefs {MOUNTS[0]}', or use --backend audit"
        )

    def open(self, name: str) -> int | None:
        """Open the event of a tracepoint such as "sys_exit_accept4"; None when this kernel does not have it."""
        try:
            fd = os.open(f"{name}/id", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._root)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise SensorError("tracefs may not be read: run as root or with CAP_DAC_READ_SEARCH") from error
        with os.fdopen(fd) as file:
            identifier = int(file.read())
        attributes = ATTRIBUTES.pack(PERF_TYPE_TRACEPOINT, ATTRIBUTES.size, identifier)
        # One CPU stands for all: the program runs wherever the tracepoint is passed.
        cpu = min(os.sched_getaffinity(0))
        event: int = self._libc.syscall(self._number, attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC)
        if event < 0:
            reason = os.strerror(ctypes.get_errno())
            raise SensorError(f"the tracepoint {name} cannot be opened ({reason}): root or CAP_PERFMON is needed")
        return event
