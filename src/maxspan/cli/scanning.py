"""What every command does that runs over event files: write results, survive interrupts, sum up, choose the status."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, Protocol, TypeVar

import click
from rich.console import Console
from rich.text import Text

from maxspan.alerts.printable import printable
from maxspan.cli.options import ScanOptions
from maxspan.engine.report import Report
from maxspan.engine.run import Scan
from maxspan.errors import Problem, SinkError, UsageError
from maxspan.sinks.output import ClosedPipe, Output, text_file
from maxspan.sinks.progress import Progress
from maxspan.sinks.style import BOLD, console_for
from maxspan.sinks.summary import summary, trouble

BAD_USAGE: Final = 2
LOST: Final = 3
NOT_WRITTEN: Final = 4
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

#: Problems of rules that are printed in full; the summary counts all.
_SHOWN_PROBLEMS: Final = 20

Item = TypeVar("Item")
Taken = TypeVar("Taken", contravariant=True)


class Writer(Protocol[Taken]):
    """What results go to, one at a time; `close` writes what is still owed."""

    def write(self, item: Taken, /) -> None: ...

    def close(self) -> None: ...


class Interrupts:
    """Ctrl-C ends the scan between two results, never in the middle of one; the second time it ends everything."""

    def __init__(self) -> None:
        self._held = False
        self._pending = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._held and not self._pending:
            self._pending = True
            return
        raise KeyboardInterrupt

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Watch for Ctrl-C as long as the block runs (in the main thread; elsewhere nothing can be watched)."""
        try:
            before = signal.signal(signal.SIGINT, self._handle)
        except ValueError:
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the block finish before an interrupt is heard."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt


def run(
    scan: Scan,
    results: Callable[[Callable[[Report], None]], Generator[Item, None, None]],
    writer: Callable[[Output], Writer[Item]],
    options: ScanOptions,
    *,
    things: str = "alert",
) -> int:
    """Take all results of a scan, write them, sum up on standard error; gives the exit status so far.

    0, or the status of what went wrong: 3 (under --strict), 4 results that could not be written, 130 for Ctrl-C, 141
    where the reader of a pipe went away.
    """
    _spare_the_input(scan, options.into)
    progress = Progress(sys.stderr, shown=not options.quiet)
    interrupts = Interrupts()
    status = 0
    failure = ""
    taken = results(progress)
    try:
        with interrupts.caught(), Output(options.into) as output:
            sink = writer(output)
            try:
                for item in taken:
                    with interrupts.held():
                        progress.clear()
                        sink.write(item)
            except KeyboardInterrupt:
                status = INTERRUPTED
            taken.close()
            progress.clear()
            sink.close()
    except ClosedPipe:
        status, failure = PIPE_CLOSED, "stopped: whoever read the output has closed it"
    except SinkError as error:
        status, failure = NOT_WRITTEN, str(error)
    except KeyboardInterrupt:
        status, failure = INTERRUPTED, "stopped before all results were written"
    taken.close()
    progress.clear()
    _tell(scan.report, failure, options, things)
    if status == 0 and not scan.report.complete:
        return LOST  # a worker process was lost: never taken for a whole scan
    if status == 0 and options.strict and (scan.report.lost or not scan.report.counters.events):
        return LOST
    return status


def _spare_the_input(scan: Scan, into: Path | None) -> None:
    if into is None or not into.is_file():
        return
    for file in scan.files.files:
        if Path(file.path).is_file() and into.samefile(file.path):
            raise UsageError(f"the output {into} is one of the event files; choose another name")


def _tell(report: Report, failure: str, options: ScanOptions, things: str) -> None:
    """Write the summary to standard error, if anybody is there to read it."""
    if sys.stderr is None:
        return
    console = console_for(sys.stderr, colour="never" if options.color == "never" else "auto")
    lines = list(trouble(report) if options.quiet else summary(report, things))
    if failure:
        lines.append(Text(f"error: {printable(failure)}", style=BOLD))
    with console.capture() as told:
        for line in lines:
            console.print(line, soft_wrap=not console.is_terminal)
    apart = options.form != "text" and options.into is None and sys.stderr.isatty() and sys.stdout.isatty()
    try:
        sys.stderr.write("\n" * apart + told.get())
        sys.stderr.flush()
    except OSError:  # the reader of `2>&1 | head` has gone; the exit status still tells
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)


def make_console(output: Output, options: ScanOptions) -> Console:
    """Make the console for text and tables that go to `output`."""
    return console_for(text_file(output), colour=options.color)


def complain(problems: Iterable[Problem]) -> None:
    """Print what is wrong with rules or a query on standard error, the first ones in full."""
    listed = list(problems)
    for problem in listed[:_SHOWN_PROBLEMS]:
        click.echo("\n".join(map(printable, problem.render().split("\n"))), err=True)
    if len(listed) > _SHOWN_PROBLEMS:
        click.echo(f"and {len(listed) - _SHOWN_PROBLEMS:,} more of these", err=True)


@contextmanager
def exit_statuses() -> Iterator[None]:
    """Turn wrong options into status 2 and an interrupt before the scan began into status 130."""
    try:
        yield
    except UsageError as error:
        raise click.UsageError(printable(str(error))) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
