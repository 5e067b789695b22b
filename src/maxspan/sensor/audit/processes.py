"""Which process is which: start times beside pids, and processes whose fork was not seen.

Audit tells pids only, and of a fork the number that the *caller's* namespace gives the child. So a process that shows
up unknown is taken as forked just before, by the parent that its first event names, unless /proc says that it is older
than the sensor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from maxspan.sensor.audit import procfs

#: A fork that is reported this long after the child was seen is taken for the same fork.
SAME_FORK_NS: Final = 5_000_000_000
#: How long a pid that has just ended is not believed to be a new process without a fork.
ENDED_NS: Final = 2_000_000_000


class Known(Struct, gc=False):
    """A live process. `seen_ns` is the time of its last event (epoch)."""

    start_ns: int
    parent_pid: int
    parent_start_ns: int
    seen_ns: int


class Processes:
    """The table. `read_stat` is /proc, or a stand-in for tests; `boot_offset_ns` joins the two clocks."""

    def __init__(
        self,
        *,
        boot_offset_ns: int,
        started_ns: int,
        read_stat: Callable[[int], procfs.Stat | None] = procfs.stat,
    ) -> None:
        self._offset = boot_offset_ns
        self._started = started_ns - boot_offset_ns
        self._stat = read_stat
        self._known: dict[int, Known] = {}
        self._ended: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, pid: int) -> Known | None:
        return self._known.get(pid)

    def start_of(self, pid: int) -> int:
        """Start of a process on the boot clock; 0 when it is not known and gone."""
        known = self._known.get(pid)
        if known is not None:
            return known.start_ns
        found = self._stat(pid)
        return found.start_ns if found else 0

    def see(self, pid: int, parent_pid: int, time_ns: int) -> tuple[Known | None, bool]:
        """An event of `pid`: give the process, and whether it is new (its fork is to be reported now).

        None for the late event of a process that has ended."""
        known = self._known.get(pid)
        if known is not None:
            known.seen_ns = max(known.seen_ns, time_ns)
            return known, False
        ended = self._ended.get(pid)
        if ended is not None and time_ns - ended < ENDED_NS:
            return None, False
        found = self._stat(pid)
        start = found.start_ns if found else time_ns - self._offset
        known = Known(start, parent_pid, self.start_of(parent_pid), time_ns)
        self._known[pid] = known
        return known, found is None or found.start_ns >= self._started

    def fork(self, pid: int, parent_pid: int, time_ns: int) -> Known | None:
        """A fork by number: give the child, or None when it has been reported already."""
        known = self._known.get(pid)
        if known is not None and known.parent_pid == parent_pid and abs(time_ns - known.seen_ns) < SAME_FORK_NS:
            return None
        ended = self._ended.pop(pid, None)
        if known is None and ended is not None and time_ns - ended < ENDED_NS and time_ns <= ended:
            self._ended[pid] = ended
            return None
        found = self._stat(pid)
        start = found.start_ns if found else time_ns - self._offset
        known = Known(start, parent_pid, self.start_of(parent_pid), time_ns)
        self._known[pid] = known
        return known

    def end(self, pid: int, time_ns: int) -> None:
        self._known.pop(pid, None)
        self._ended[pid] = time_ns
        if len(self._ended) > 4096:
            self._ended = {key: at for key, at in self._ended.items() if time_ns - at < ENDED_NS}

    def gone(self, now_ns: int) -> list[tuple[int, Known]]:
        """Give the processes that are no longer there and whose end was not seen (killed by a signal)."""
        present = {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208 - thousands of names
        return [
            (pid, known)
            for pid, known in self._known.items()
            if pid not in present and now_ns - known.seen_ns > 1_000_000_000
        ]
