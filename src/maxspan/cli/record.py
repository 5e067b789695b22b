"""`maxspan record`: this host's events, or those of one command or process, into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click


@click.command("record", context_settings={"help_option_names": ["-h", "--help"], "ignore_unknown_options": True})
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@click.option("--seconds", type=click.FloatRange(min=0), help="Stop after this time.")
@click.option("--pid", type=click.IntRange(min=1), help="Record only this process and its descendants.")
@click.option(
    "--backend", type=click.Choice(["auto", "bpf", "audit"]), default="auto", show_default=True, help="How to watch."
)
@click.option("--env", "environment", multiple=True, metavar="NAME", help="Variable to keep in process.env_vars.")
@click.option("--watch-path", multiple=True, metavar="PATH", help="Another path to watch for file events.")
@click.option("-q", "--quiet", is_flag=True, help="No figures; what was lost is still told.")
@click.option("--strict", is_flag=True, help="Exit 3 when events were lost or could not be written.")
def command(file: Path, program: tuple[str, ...], pid: int | None, **options: Any) -> None:
    """Record what happens on this Linux host as events in FILE (NDJSON; what it held is gone).

    With a COMMAND after --, runs it and records it and everything that it starts, until it ends; its exit status is
    told, not handed on. With --pid, records a process that runs already, and its descendants. Else records everything
    until --seconds are over, Ctrl-C or SIGTERM.

    \b
    Example:
      sudo maxspan record shell.ndjson -- bash -c 'ls /tmp | wc -l'
    """
    if program and pid is not None:
        raise click.UsageError("give a COMMAND or --pid, not both")
    try:
        status = _record(file, program, pid, **options)
    except KeyboardInterrupt:
        status = 130
    raise SystemExit(status)


def _record(
    file: Path,
    program: tuple[str, ...],
    pid: int | None,
    *,
    seconds: float | None,
    backend: Literal["auto", "bpf", "audit"],
    environment: tuple[str, ...],
    watch_path: tuple[str, ...],
    quiet: bool,
    strict: bool,
) -> int:
    import os
    import sys

    from maxspan.cli.watching import CANNOT_WATCH, LOST, NOT_WRITTEN, Stop, open_collector
    from maxspan.errors import SensorError, SinkError
    from maxspan.sensor.event_log import EventLog
    from maxspan.sensor.recording import Recording
    from maxspan.sensor.screen import Screen

    screen = Screen(sys.stderr, quiet=quiet)
    stop = Stop()
    try:
        with stop.caught(), open_collector(backend, watch_path, environment, screen) as collector:
            if file.is_file():
                os.truncate(file, 0)
            log = EventLog(file)
            recording = Recording(collector, log, pid=pid, program=program)
            ledger = recording.run(stop, seconds=seconds)
    except (SinkError, OSError) as error:
        screen.note(str(error))
        return NOT_WRITTEN
    except SensorError as error:
        for line in str(error).split("\n"):
            screen.note(line)
        return CANNOT_WATCH
    finally:
        screen.before_alert()
    if program:
        screen.say(f"the command ended with status {recording.status}")
    screen.say(f"{log.written:,} events written to {file}")
    if recording.left_out:
        screen.say(f"{recording.left_out:,} events of other processes left out")
    if not log.written and not log.not_written:
        screen.note("no event was recorded" + (f": no process {pid} was seen" if pid else ""))
    if ledger.lost:
        screen.note(f"{ledger.lost:,} events were lost")
    if log.not_written:
        screen.note(f"{log.not_written:,} events could not be written: {log.failure}")
        return NOT_WRITTEN
    return LOST if strict and (ledger.lost or ledger.errors()) else 0
