"""Removes what a run leaves behind, also when the runner is killed: it waits for a pipe to close.

The runner writes `folder PATH` and `process PID` lines as it makes things, and `audit ...` before a sensor changes how
the kernel audits. When the pipe closes, for whatever reason, the processes are ended (by pidfd: never a stranger with
the same number), the folders removed, and the audit rules deleted that a sensor had no time to delete itself. The
normal end of a run goes the same way, so that there is only one.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from maxspan.sensor.audit.netlink import AuditSocket
from maxspan.sensor.audit.rules import owner_of

PATIENCE_SECONDS = 10.0
ROOT = Path(__file__).resolve().parent.parent


class Janitor:
    """The runner's end of the pipe."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self._pipe: IO[str] = os.fdopen(writing, "w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lab.janitor", str(reading)],
            cwd=ROOT,
            pass_fds=[reading],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )
        os.close(reading)

    def folder(self, path: Path) -> None:
        """Have a folder removed at the end, with all that is in it."""
        self._tell(f"folder {path}")

    def process(self, pid: int) -> None:
        """Have a process ended at the end, if it still runs then."""
        self._tell(f"process {pid}")

    def auditing(self) -> None:
        """Have the kernel's auditing set back to what it is now, if a sensor leaves rules."""
        with contextlib.closing(AuditSocket()) as control:
            now = control.status()
        self._tell(f"audit {now.enabled} {now.backlog_limit} {now.backlog_wait_time}")

    def _tell(self, line: str) -> None:
        self._pipe.write(line + "\n")
        self._pipe.flush()

    def finish(self) -> int:
        """Have everything removed now; gives 0, or 1 when something could not be removed (said on stderr)."""
        self._pipe.close()
        return self._process.wait()


def clean(processes: list[int], folders: list[Path]) -> int:
    """End the processes and remove the folders; gives the number of things that are still there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    for pidfd in processes:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    left = 0
    for pidfd in processes:
        ended, _, _ = select.select([pidfd], [], [], max(0.0, deadline - time.monotonic()))
        left += not ended
    for folder in folders:
        while (
            folder.exists() and time.monotonic() < deadline
        ):  # what is mounted below goes with the machines' last process
            shutil.rmtree(folder, ignore_errors=True)
            time.sleep(0.02)
        if folder.exists():
            print(f"lab: could not remove {folder}", file=sys.stderr)
            left += 1
    return left


def settle_audit(pids: set[int], before: tuple[int, int, int]) -> None:
    """Delete the audit rules of processes that have ended; with the last rule, set auditing back to what it was."""
    with contextlib.closing(AuditSocket()) as control:
        mine = [rule for rule in control.rules() if owner_of(rule) in pids]
        for rule in mine:
            control.delete_rule(rule)
        if mine and not control.rules():
            enabled, limit, wait = before
            control.set_status(enabled=enabled, backlog_limit=limit, backlog_wait_time=wait)


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    processes: list[int] = []
    folders: list[Path] = []
    pids: set[int] = set()
    audit: tuple[int, int, int] | None = None
    with os.fdopen(int(sys.argv[1])) as lines:
        for line in lines:
            kind, _, value = line.rstrip("\n").partition(" ")
            if kind == "folder":
                folders.append(Path(value))
            elif kind == "audit":
                enabled, limit, wait = map(int, value.split())
                audit = (enabled, limit, wait)
            else:
                pids.add(int(value))
                with contextlib.suppress(ProcessLookupError):
                    processes.append(os.pidfd_open(int(value)))
    left = clean(processes, folders)
    if audit is not None:
        settle_audit(pids, audit)
    return min(left, 1)


if __name__ == "__main__":
    sys.exit(main())
