"""A recording: the events of the host, or of one family of processes, into a file."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Final

from maxspan.sensor.collector import Collector
from maxspan.sensor.event_log import EventLog
from maxspan.sensor.follow import Follow
from maxspan.sensor.ledger import Ledger

#: After the command ended, wait this long for what its children still do.
LINGER_S: Final = 1.0
_POLL_MS: Final = 200


class Recording:
    """Writes events until it is stopped, the time is over or the command has ended.

    With a `program` its command line is started once the watch has begun; `status` is its exit status then (negative:
    the signal that killed it). With `pid` or `program`, only that process and its descendants are recorded.
    """

    def __init__(
        self, collector: Collector, log: EventLog, *, pid: int | None = None, program: Sequence[str] = ()
    ) -> None:
        self._collector = collector
        self._log = log
        self._program = list(program)
        self._follow = Follow(pid) if pid is not None else None
        self.status: int | None = None

    @property
    def left_out(self) -> int:
        """Count the events of processes that were not asked for."""
        return self._follow.left_out if self._follow is not None else 0

    def run(self, stop: Callable[[], bool], *, seconds: float | None = None) -> Ledger:
        """Record, and give the books. Raises SensorError, and OSError for a command that cannot be started."""
        self._write(self._collector.start())
        end = time.monotonic() + seconds if seconds is not None else float("inf")
        child = subprocess.Popen(self._program) if self._program else None
        if child is not None:
            self._follow = Follow(child.pid)
        try:
            while not stop() and (left := end - time.monotonic()) > 0:
                self._write(self._collector.poll(max(1, int(1000 * min(left, _POLL_MS / 1000)))))
                if child is not None and child.poll() is not None:
                    self.status = child.returncode
                    end, child = min(end, time.monotonic() + LINGER_S), None
        finally:
            if child is not None:
                child.terminate()
                self.status = child.wait()
        while lines := self._collector.poll(0):
            self._write(lines)
        return self._collector.ledger()

    def _write(self, lines: list[bytes]) -> None:
        self._log.write(lines if self._follow is None else self._follow.kept(lines))
