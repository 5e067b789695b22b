"""`maxspan query`: one EQL query over event files."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

import click

from maxspan.cli.options import ScanOptions, scan_options

if TYPE_CHECKING:
    from maxspan.cli.scanning import Writer
    from maxspan.engine.match import RuleMatch
    from maxspan.engine.report import Report
    from maxspan.engine.run import Scan
    from maxspan.errors import Problem
    from maxspan.languages.plan import Query
    from maxspan.sinks.output import Output


@click.command("query", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("text", metavar="EQL")
@scan_options("text is for people; table is a line an event; ndjson and json are the events as they are.")
@click.option("--fields", metavar="A,B,...", default="", help="Fields to show, as columns or in the documents.")
@click.option("--size", type=click.IntRange(min=0), help="At most so many matches: the last, or see --head.")
@click.option("--head", is_flag=True, help="With --size: the first matches instead of the last.")
@click.option("--timestamp-field", default="@timestamp", show_default=True, metavar="FIELD")
@click.option("--tiebreaker-field", default="event.sequence", show_default=True, metavar="FIELD")
@click.option("--event-category-field", default="event.category", show_default=True, metavar="FIELD")
def command(
    options: ScanOptions,
    text: str,
    fields: str,
    size: int | None,
    head: bool,
    timestamp_field: str,
    tiebreaker_field: str,
    event_category_field: str,
) -> None:
    """Hunt with one EQL query over EVENTS.

    \b
    maxspan query 'process where process.name == "nc"' logs/
    maxspan query 'sequence by host.id [network where true] [process where true]' a.ndjson --size 5
    maxspan query 'any where true' logs/ --fields @timestamp,host.name,process.command_line

    EVENTS as for `maxspan scan`. With --format ndjson a query for single events gives the events unchanged, so that
    they can be scanned again; a sequence gives {"join_keys": [...], "events": [...]}.

    Exit status: 0 = ran, 2 = bad usage or query, 3 = events were lost or unreadable with --strict, 4 = results could
    not be written, 130 = Ctrl-C, 141 = the reader of the output went away.
    """
    from maxspan.cli.scanning import BAD_USAGE, complain, exit_statuses, run
    from maxspan.engine.run import Scan
    from maxspan.errors import QueryError, UsageError
    from maxspan.languages import eql
    from maxspan.rules.model import Rule, Ruleset

    with exit_statuses():
        if head and size is None:
            raise UsageError("--head goes with --size")
        names = _names(fields)
        try:
            plan = _sized(eql.parse(text), size, head)
        except QueryError as error:
            complain([error.problem()])
            raise SystemExit(BAD_USAGE) from None
        complain(_misspelt(plan, text))
        rule = Rule(
            id="query",
            name="query",
            type="eql",
            language="eql",
            query=text,
            plan=plan,
            timestamp_field=timestamp_field,
            tiebreaker_field=tiebreaker_field,
            event_category_field=event_category_field,
        )
        scan = Scan(Ruleset((rule,)), options.events, engine=options.engine, jobs=options.jobs)
        status = run(scan, _matches(scan, size), _writer(options, names, plan), options, things="match")
    if status in (0, 3) and not scan.files.files:
        status = BAD_USAGE
    raise SystemExit(status)


def _names(fields: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in fields.split(",") if (name := part.strip())))


def _misspelt(plan: Query, text: str) -> list[Problem]:
    """Warn of fields that nobody knows and whose names are very close to known ones: they would only match nothing."""
    from dataclasses import replace

    from maxspan.errors import QueryError
    from maxspan.rules.compile import all_fields
    from maxspan.schema.field_names import meant_by

    warnings: dict[str, Problem] = {}
    for field in all_fields(plan):
        if field.name not in warnings and not field.of and (meant := meant_by(field.name)):
            message = f"the field `{field.name[:128]}` is not known; where events lack it, the condition is never true"
            error = QueryError("unknown-field", message, span=field.span, text=text, hint=f"did you mean `{meant}`?")
            warnings[field.name] = replace(error.problem(), severity="warning")
    return list(warnings.values())


def _sized(plan: Query, size: int | None, head: bool) -> Query:
    """Put the size under the first pipe, in that pipe's direction, as Elasticsearch does; samples have no pipes."""
    from dataclasses import replace

    from maxspan.languages.plan import Pipe, SampleQuery

    if size is None or isinstance(plan, SampleQuery):
        return plan
    direction = plan.pipes[0].name if plan.pipes else "head" if head else "tail"
    return replace(plan, pipes=(Pipe(direction, size), *plan.pipes))


def _matches(scan: Scan, size: int | None) -> Callable[[Callable[[Report], None]], Generator[RuleMatch, None, None]]:
    from maxspan.languages.plan import SampleQuery

    def matches(progress: Callable[[Report], None]) -> Generator[RuleMatch, None, None]:
        for match in scan.matches(progress):
            if isinstance(match.rule.plan, SampleQuery) and size is not None and scan.report.shown >= size:
                scan.report.hidden += 1
                continue
            scan.report.shown += 1
            yield match

    return matches


def _writer(options: ScanOptions, names: Sequence[str], plan: Query) -> Callable[[Output], Writer[RuleMatch]]:
    from maxspan.cli.scanning import make_console
    from maxspan.languages.plan import EventQuery
    from maxspan.sinks.matches import MatchJson, MatchNdjson, MatchStories, MatchTable

    def make(output: Output) -> Writer[RuleMatch]:
        if options.form == "ndjson":
            return MatchNdjson(output, names)
        if options.form == "json":
            return MatchJson(output, names)
        console = make_console(output, options)
        if options.form == "table" or names or isinstance(plan, EventQuery):
            return MatchTable(console, names, fold=console.is_terminal)
        return MatchStories(console)

    return make
