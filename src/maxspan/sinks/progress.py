"""One line on a terminal that says how far a long scan is; it is wiped away before anything else is written."""

from __future__ import annotations

import shutil
import time
from typing import IO, Final

from maxspan.engine.report import Report
from maxspan.sinks.summary import size

#: Seconds before the first line (short scans show none) and between two.
_PATIENCE: Final = 0.7
_PAUSE: Final = 0.1
_BAR: Final = 24
_WIPE: Final = "\r\x1b[2K"


class Progress:
    """Draws on `file` if that is a terminal and `shown` is true; else does nothing."""

    def __init__(self, file: IO[str] | None, *, shown: bool = True) -> None:
        self._file = file if shown and file is not None and file.isatty() else None
        self._begin = self._last = time.monotonic()
        self._drawn = self._matching = False

    def __call__(self, report: Report) -> None:
        if self._file is None:
            return
        now = time.monotonic()
        matching = report.total_bytes > 0 and report.read_bytes >= report.total_bytes
        if now - self._begin < _PATIENCE or (now - self._last < _PAUSE and matching == self._matching):
            return
        self._last, self._matching = now, matching
        width = shutil.get_terminal_size((80, 24)).columns
        self._file.write(_WIPE + progress_line(report, now - self._begin)[: width - 1])
        self._file.flush()
        self._drawn = True

    def clear(self) -> None:
        """Wipe the line, if there is one."""
        if self._drawn and self._file is not None:
            self._file.write(_WIPE)
            self._file.flush()
            self._drawn = False


def progress_line(report: Report, seconds: float) -> str:
    """Write the line: a bar where the size of the input is known, the speed, and the time that is left."""
    done, total = report.read_bytes, report.total_bytes
    events = f"{report.counters.events:,} events"
    if total <= 0:
        return f"scanning  {size(report.counters.bytes)}  {events}"
    share = min(done / total, 1.0)
    if share >= 1.0:
        return f"matching  {events}"
    filled = int(share * _BAR)
    bar = "━" * filled + "─" * (_BAR - filled)
    line = f"scanning  {bar} {share:4.0%}  {size(done)} of {size(total)}  {events}"
    if share > 0.01:
        left = round(seconds / share * (1 - share))
        line += f"  {left // 60}:{left % 60:02d} left"
    return line
