"""`maxspan scan`: rules over event files, alerts out."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import click

from maxspan.cli.options import ScanOptions, scan_options

if TYPE_CHECKING:
    from maxspan.alerts.group import AlertGroup
    from maxspan.cli.scanning import Writer
    from maxspan.engine.report import Report
    from maxspan.engine.run import Scan
    from maxspan.sinks.output import Output

_SEVERITIES = ["low", "medium", "high", "critical"]


@click.command("scan", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-r",
    "--rules",
    multiple=True,
    metavar="RULES",
    help="Rules: file, folder or glob; may be given several times.  [default: the rules that come with maxspan]",
)
@scan_options("text is for people; table is a line an alert; ndjson and json are alert documents.")
@click.option("--ignore-index", is_flag=True, help="Run rules on all events, whatever data streams they are for.")
@click.option("--severity", type=click.Choice(_SEVERITIES), help="Only alerts of this severity and above.")
@click.option(
    "--no-building-blocks", is_flag=True, help="Leave out building block documents, and alerts of building block rules."
)
@click.option("--fail-on-alert", is_flag=True, help="Exit 1 when there are alerts.")
def command(
    options: ScanOptions,
    rules: tuple[str, ...],
    ignore_index: bool,
    severity: str | None,
    no_building_blocks: bool,
    fail_on_alert: bool,
) -> None:
    """Run detection rules over EVENTS and print the alerts.

    EVENTS are files, folders or globs of NDJSON (also .gz and .zst), JSON arrays, Elasticsearch exports or Parquet; -
    is standard input. Results go to standard output, progress and the summary to standard error.

    \b
    Exit status:
      0    the scan ran
      1    there are alerts, with --fail-on-alert
      2    bad usage, or rules with errors (the others ran)
      3    with --strict: events were lost or unreadable, or there were none
      4    results could not be written
      130  stopped by Ctrl-C; 141: the reader of the output went away
    """
    from maxspan.cli.scanning import BAD_USAGE, complain, exit_statuses, run
    from maxspan.engine.run import Scan
    from maxspan.errors import UsageError
    from maxspan.rules.load import load_rules

    with exit_statuses():
        ruleset = load_rules(list(rules) or None)
        complain(ruleset.errors)
        if not ruleset.runnable:
            raise UsageError(_no_rules(len(ruleset)))
        scan = Scan(ruleset, options.events, engine=options.engine, ignore_index=ignore_index, jobs=options.jobs)
        status = run(
            scan,
            _chosen(scan, severity, not no_building_blocks),
            _writer(options, not no_building_blocks),
            options,
        )
    if status in (0, 3) and (ruleset.errors or not scan.files.files):
        status = BAD_USAGE
    if status == 0 and fail_on_alert and scan.report.shown:
        status = 1
    raise SystemExit(status)


def _no_rules(count: int) -> str:
    if not count:
        return "no rules were found: name a file, a folder or a glob with -r"
    return f"none of the {count:,} rules can run (maxspan rules list says why)"


def _chosen(
    scan: Scan, severity: str | None, blocks: bool
) -> Callable[[Callable[[Report], None]], Generator[AlertGroup, None, None]]:
    """Give the detections that were asked for, and count all of them in the report."""
    from maxspan.alerts.scan import alert_groups

    lowest = _SEVERITIES.index(severity) if severity else 0

    def groups(progress: Callable[[Report], None]) -> Generator[AlertGroup, None, None]:
        for group in alert_groups(scan, progress):
            known = group.severity in _SEVERITIES
            too_low = known and _SEVERITIES.index(group.severity) < lowest
            if too_low or (not blocks and group.is_building_block):
                scan.report.hidden += 1
                continue
            scan.report.alerts[group.severity] += 1
            scan.report.shown += 1
            yield group

    return groups


def _writer(options: ScanOptions, blocks: bool) -> Callable[[Output], Writer[AlertGroup]]:
    from maxspan.cli.scanning import make_console
    from maxspan.sinks.documents import JsonSink, NdjsonSink
    from maxspan.sinks.table import TableSink
    from maxspan.sinks.terminal import TerminalSink

    def make(output: Output) -> Writer[AlertGroup]:
        if options.form == "ndjson":
            return NdjsonSink(output, blocks=blocks)
        if options.form == "json":
            return JsonSink(output, blocks=blocks)
        console = make_console(output, options)
        if options.form == "table":
            return TableSink(console, fold=console.is_terminal)
        return TerminalSink(console)

    return make
