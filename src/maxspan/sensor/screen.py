"""What a person sees of a watch beside the alerts: one line that lives on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, cast

from rich.console import Console
from rich.text import Text

from maxspan.engine.detector import Counters
from maxspan.sensor.alert_output import Alerts
from maxspan.sensor.event_log import EventLog
from maxspan.sensor.ledger import Ledger
from maxspan.sinks.style import BOLD, DIM, SEVERITY_STYLES, WARNING, console_for, joined, shown
from maxspan.sinks.summary import counted

_WIPE = "\r\x1b[2K"


class _Lasting:
    """A text file that may be closed, full, or a pipe that nobody reads: what is told is no reason to end a watch."""

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file
        self.encoding: str = getattr(file, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return self._file is not None and self._file.isatty()

    def fileno(self) -> int:
        if self._file is None:
            raise OSError("closed")
        return self._file.fileno()

    def write(self, text: str) -> int:
        if self._file is not None:
            with suppress(OSError):
                self._file.write(text)
        return len(text)

    def flush(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.flush()


class Screen:
    """Writes to `file` (standard error). On a terminal a line with the figures is drawn anew every second.

    `quiet` leaves out everything but what was lost or could not be written. A file that cannot be written (None: it is
    closed) is passed over.
    """

    def __init__(self, file: IO[str] | None, *, quiet: bool = False, console: Console | None = None) -> None:
        self._file = cast(IO[str], _Lasting(file))
        self._console = console or console_for(self._file)
        self._quiet = quiet
        self._live = self._file.isatty() and not quiet
        self._drawn = False
        self._last = (time.monotonic(), 0)

    def before_alert(self) -> None:
        """Wipe the line, so that something else can be written."""
        if self._drawn:
            self._file.write(_WIPE)
            self._file.flush()
            self._drawn = False

    def say(self, text: Text | str) -> None:
        """Write a line, unless we are to be quiet."""
        if not self._quiet:
            self.line(shown(text) if isinstance(text, str) else text)

    def note(self, text: str) -> None:
        """Write a line about something that was lost or does not work; never left out."""
        self.line(Text.assemble(("! ", WARNING), shown(text, BOLD)))

    def status(self, ledger: Ledger, alerts: Alerts, *, minute: bool) -> None:
        now = time.monotonic()
        before, events = self._last
        rate = (ledger.events - events) / max(now - before, 0.001)
        if self._live:
            self._last = (now, ledger.events)
            width = shutil.get_terminal_size((80, 24)).columns
            self._file.write(_WIPE + status_line(ledger, alerts, rate)[: width - 1])
            self._file.flush()
            self._drawn = True
        elif minute:
            self._last = (now, ledger.events)
            self.say(status_line(ledger, alerts, rate))

    def line(self, text: Text) -> None:
        """Write a line."""
        self.before_alert()
        self._console.print(text, soft_wrap=not self._console.is_terminal)
        self._file.flush()


def status_line(ledger: Ledger, alerts: Alerts, rate: float) -> str:
    """Write the figures: alerts, events in all and a second, lost, clipped; and whether the books balance."""
    parts = [counted(alerts.total, "alert"), counted(ledger.events, "event"), f"{rate:,.0f}/s", f"{ledger.lost:,} lost"]
    if ledger.clipped:
        parts.append(f"{ledger.clipped:,} clipped")
    if ledger.flows.not_written:
        parts.append(f"{ledger.flows.not_written:,} not written")
    if ledger.errors():
        parts.append("books do not balance")
    return "watching  " + "  ".join(parts)


def summary(
    ledger: Ledger, alerts: Alerts, seconds: float, counters: Counters | None, events: EventLog | None
) -> Iterator[Text]:
    """Give the last word of a watch: alerts, events by kind, and all that was lost."""
    head = Text(counted(alerts.total, "alert"), style=BOLD)
    told = [
        Text(f"{count:,} {severity}", style=SEVERITY_STYLES.get(severity, BOLD))
        for severity, count in alerts.by_severity.most_common()
    ]
    yield Text.assemble(head, ": ", joined(told, ", ")) if told else head
    yield Text(f"{counted(ledger.events, 'event')} in {seconds:,.0f} s ({ledger.events / max(seconds, 0.001):,.0f}/s)")
    kinds = [f"{row.events:,} {row.kind}" for row in ledger.rows if row.events]
    if kinds:
        yield Text("  " + ", ".join(kinds), style=DIM)
    if events is not None:
        yield Text(f"{counted(events.written, 'event')} written to ").append_text(shown(str(events.path)))
    yield from trouble(ledger, alerts, counters)


def trouble(ledger: Ledger, alerts: Alerts, counters: Counters | None) -> Iterator[Text]:
    """Give the lines about what was lost, cut, late or not written; the kinds are those of the books."""
    lost = [f"{row.lost:,} {row.kind}" for row in ledger.rows if row.lost]
    if lost:
        yield _warning(f"lost in the kernel: {', '.join(lost)}; alerts that need them did not come")
    if ledger.flows.unreadable:
        yield _warning(f"{counted(ledger.flows.unreadable, 'record')} could not be decoded")
    if alerts.with_loss:
        yield _warning(f"{counted(alerts.with_loss, 'alert')} with losses in the window of their rule")
    clipped = [f"{row.clipped:,} {row.kind}" for row in ledger.rows if row.clipped]
    if clipped:
        yield Text(f"clipped (too long for a record): {', '.join(clipped)}")
    if ledger.flows.not_written:
        yield _warning(f"{counted(ledger.flows.not_written, 'event')} could not be written")
    if alerts.log is not None and alerts.log.not_written:
        yield _warning(f"{counted(alerts.log.not_written, 'alert document')} could not be written")
    if counters is not None:
        if counters.late:
            yield _warning(f"{counted(counters.late, 'event')} came too late for the order (see --lateness)")
        if counters.evicted:
            yield _warning(f"{counted(counters.evicted, 'unfinished sequence')} given up for want of memory")
        if counters.unreadable:
            yield _warning(f"{counted(counters.unreadable, 'event')} could not be read by the rules")
    for error in ledger.errors():
        yield _warning(f"the books do not balance: {error}")


def _warning(text: str) -> Text:
    return Text.assemble(("! ", WARNING), (text, BOLD))
