"""`maxspan watch`: this host live, rules on what happens, alerts out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from maxspan.rules.model import Ruleset
    from maxspan.sensor.backend import Backend
    from maxspan.sensor.screen import Screen
    from maxspan.sensor.watcher import StreamDetector
    from maxspan.sinks.output import Output
    from maxspan.sinks.sink import Sink

_MEGABYTE = 1_000_000
_SHOWN_RULES = 30


@click.command("watch", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-r",
    "--rules",
    multiple=True,
    metavar="RULES",
    help="Rules: file, folder or glob; may be given several times.  [default: the rules that come with maxspan]",
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "bpf", "audit"]),
    default="auto",
    show_default=True,
    help="How to watch; auto takes BPF, and audit where that is not possible.",
)
@click.option(
    "--events",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep all events in FILE.",
)
@click.option(
    "--events-size",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="MB",
    help="Rotate FILE at this size.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Rotated files to keep (FILE.1, ...).",
)
@click.option(
    "--alerts",
    "alerts_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Append all alert documents to FILE (NDJSON).",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "table", "ndjson"]),
    default="text",
    show_default=True,
    help="text is for people; table is a line an alert; ndjson is alert documents.",
)
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="No figures and no summary; what was lost is still told.")
@click.option(
    "--lateness",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="MS",
    help="How long to wait for events that come out of order.",
)
@click.option(
    "--env",
    "environment",
    multiple=True,
    metavar="NAME",
    help="Variable to keep in process.env_vars.",
)
@click.option("--watch-path", multiple=True, metavar="PATH", help="Another path to watch for file events.")
@click.option("--no-hashes", is_flag=True, help="Do not hash executables.")
@click.option("--seconds", type=click.FloatRange(min=0), help="Stop after this time.")
@click.option("--fail-on-alert", is_flag=True, help="Exit 1 when there were alerts.")
@click.option("--strict", is_flag=True, help="Exit 3 when events were lost, late or unreadable.")
def command(rules: tuple[str, ...], **options: Any) -> None:
    """Watch this Linux host live, run detection rules on what happens, and print the alerts.

    Needs root, or the capabilities CAP_BPF, CAP_PERFMON and CAP_DAC_READ_SEARCH (and CAP_SYS_PTRACE to know the
    programs that run already). Alerts go to standard output, figures and the summary to standard error. Ctrl-C or
    SIGTERM ends the watch with a summary.

    \b
    Exit status:
      0    the watch ran until it was stopped
      1    there were alerts, with --fail-on-alert
      2    bad usage, rules with errors (the others ran), or this host cannot be watched
      3    with --strict: events were lost, late or unreadable
      4    standard output could not be written; 141: its reader went away
      130  stopped by a second Ctrl-C
    """
    from maxspan.alerts.printable import printable
    from maxspan.cli.scanning import complain
    from maxspan.errors import UsageError
    from maxspan.rules.load import load_rules

    ruleset = load_rules(list(rules) or None)
    complain(ruleset.errors)
    if not ruleset.runnable:
        raise click.UsageError("no rules that can run: name a file, a folder or a glob with -r")
    try:
        status = _watch(ruleset, **options)
    except UsageError as error:
        raise click.UsageError(printable(str(error))) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(2 if status in (0, 3) and ruleset.errors else status)


def _watch(
    ruleset: Ruleset,
    *,
    backend: Literal["auto", "bpf", "audit"],
    events: Path | None,
    events_size: int,
    keep: int,
    alerts_file: Path | None,
    form: str,
    color: Literal["auto", "always", "never"],
    quiet: bool,
    lateness: int,
    environment: tuple[str, ...],
    watch_path: tuple[str, ...],
    no_hashes: bool,
    seconds: float | None,
    fail_on_alert: bool,
    strict: bool,
) -> int:
    import sys
    import time

    from maxspan.cli.watching import CANNOT_WATCH, LOST, NOT_WRITTEN, PIPE_CLOSED, Stop, open_collector
    from maxspan.errors import SensorError, SinkError
    from maxspan.sensor.alert_output import Alerts
    from maxspan.sensor.event_log import EventLog
    from maxspan.sensor.screen import Screen, summary, trouble
    from maxspan.sensor.watcher import Watcher
    from maxspan.sinks.output import ClosedPipe, Output

    screen = Screen(sys.stderr, quiet=quiet)
    stop = Stop()
    try:
        detector = _detector(ruleset, lateness)
        event_log = EventLog(events, max_bytes=events_size * _MEGABYTE, keep=keep) if events else None
        alert_log = EventLog(alerts_file) if alerts_file else None
        with (
            stop.caught(),
            open_collector(backend, watch_path, environment, screen, hashes=not no_hashes) as collector,
            Output() as output,
        ):
            _tell_gaps(collector.backend, ruleset, screen)
            alerts = Alerts(_sink(output, form, color), alert_log)
            watcher = Watcher(collector, alerts, screen, detector=detector, events=event_log, lateness_ms=lateness)
            _tell_start(collector.backend, ruleset, screen)
            started = time.monotonic()
            ledger = watcher.run(stop, seconds=seconds)
            screen.before_alert()
            alerts.close()
    except ClosedPipe:
        screen.note("stopped: whoever read the output has closed it")
        return PIPE_CLOSED
    except SinkError as error:
        screen.note(str(error))
        return NOT_WRITTEN
    except SensorError as error:
        for line in str(error).split("\n"):
            screen.note(line)
        return CANNOT_WATCH
    counters = detector.counters
    took = time.monotonic() - started
    lines = trouble(ledger, alerts, counters) if quiet else summary(ledger, alerts, took, counters, event_log)
    for text in lines:
        screen.line(text)
    if watcher.broken:
        return CANNOT_WATCH
    if strict and (
        ledger.lost or watcher.unread or counters.late or counters.unreadable or counters.evicted or ledger.errors()
    ):
        return LOST
    return 1 if fail_on_alert and alerts.total else 0


def _detector(ruleset: Ruleset, lateness_ms: int) -> StreamDetector:
    from maxspan.engine.kernel.detector import KernelDetector

    detector: StreamDetector = KernelDetector(ruleset.runnable, stream=True, lateness_ns=lateness_ms * 1_000_000)
    return detector


def _sink(output: Output, form: str, color: Literal["auto", "always", "never"]) -> Sink:
    from maxspan.sensor.alert_output import LineSink, LossTold
    from maxspan.sinks.documents import NdjsonSink
    from maxspan.sinks.output import text_file
    from maxspan.sinks.style import console_for
    from maxspan.sinks.terminal import TerminalSink

    if form == "ndjson":
        return NdjsonSink(output)
    console = console_for(text_file(output), colour=color)
    return LineSink(console) if form == "table" else LossTold(TerminalSink(console), console)


def _tell_start(backend: Backend, ruleset: Ruleset, screen: Screen) -> None:
    runnable, rest = len(ruleset.runnable), len(ruleset.not_runnable)
    more = f", {rest:,} cannot run (maxspan rules list says why)" if rest else ""
    screen.say(f"watching through {backend.name}: {runnable:,} rules run{more}; Ctrl-C ends")


def _tell_gaps(backend: Backend, ruleset: Ruleset, screen: Screen) -> None:
    """Say what the backend cannot give, and which rules can never fire because of it."""
    from maxspan.sensor.abilities import cannot_fire, gaps_of

    gaps = gaps_of(backend.missing_fields)
    for told, reason in gaps.reasons:
        screen.say(f"not seen: {told}: {reason}")
    rules = cannot_fire(ruleset.runnable, gaps)
    if rules:
        screen.note(f"{len(rules):,} rules cannot fire without that:")
        for rule in rules[:_SHOWN_RULES]:
            screen.note(f"  {rule.name}")
        if len(rules) > _SHOWN_RULES:
            screen.note(f"  and {len(rules) - _SHOWN_RULES:,} more")
