"""`maxspan rules list`: which rules there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from maxspan.rules.model import Rule
    from maxspan.sinks.output import Output


@click.command("list", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-r", "--rules", "paths", multiple=True, metavar="PATH", help="Rules: file, folder or glob.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="eql, query, esql, new_terms, threshold, ...")
@click.option(
    "--severity",
    "severities",
    multiple=True,
    type=click.Choice(["low", "medium", "high", "critical"], case_sensitive=False),
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag; may hold * and ?.")
@click.option("--tactic", "tactics", multiple=True, metavar="NAME|ID", help="Such as execution or TA0002.")
@click.option("--technique", "techniques", multiple=True, metavar="ID", help="With its sub-techniques.")
@click.option("--os", "systems", multiple=True, metavar="SYSTEM", help="linux, macos, windows.")
@click.option("--runnable/--not-runnable", "runnable", default=None, help="Only rules that can run here, or cannot.")
@click.option("--format", "form", type=click.Choice(["table", "json", "ndjson"]), default="table", show_default=True)
def command(
    paths: tuple[str, ...],
    types: tuple[str, ...],
    severities: tuple[str, ...],
    tags: tuple[str, ...],
    tactics: tuple[str, ...],
    techniques: tuple[str, ...],
    systems: tuple[str, ...],
    runnable: bool | None,
    form: str,
) -> None:
    """List rules.

    Options given several times add up (any fits); different options restrict each other (all must fit).

    \b
    maxspan rules list --tactic execution --severity high
    maxspan rules list -r detection-rules/rules --technique T1059 --os linux --format ndjson

    Exit status: 0 = listed, 2 = bad usage or rules with errors (the others are listed).
    """
    from maxspan.cli.rules_output import BAD_RULES, complain, load, writing
    from maxspan.rules.selection import Selection

    ruleset = load(paths)
    complain(ruleset)
    wish = Selection(types, severities, tags, tactics, techniques, systems, runnable)
    chosen = [rule for rule in ruleset if wish.fits(rule)]
    with writing() as output:
        _write(chosen, form, output)
    can = sum(rule.runnable for rule in chosen)
    click.echo(f"{len(chosen):,} of {len(ruleset):,} rules; {can:,} of these can run", err=True)
    if ruleset.errors:
        raise SystemExit(BAD_RULES)


def _write(rules: Sequence[Rule], form: str, output: Output) -> None:
    from maxspan.cli.rules_output import document

    if form == "table":
        _table(rules, output)
    elif form == "ndjson":
        from maxspan.alerts.encode import to_safe_json

        for rule in rules:
            output.write(to_safe_json(document(rule)) + b"\n")
    else:
        from maxspan.sinks.documents import JsonArray

        array = JsonArray(output)
        for rule in rules:
            array.add(document(rule))
        array.close()


def _table(rules: Sequence[Rule], output: Output) -> None:
    from rich.text import Text

    from maxspan.sinks.output import text_file
    from maxspan.sinks.style import BOLD, DIM, SEVERITY_STYLES, console_for, shown
    from maxspan.sinks.table import Columns

    console = console_for(text_file(output))
    headings = ("severity", "risk", "type", "rule", "tactics", "techniques", "runs")
    columns = Columns(console, headings, fold=console.is_terminal, whole=3)
    for rule in rules:
        columns.add(
            (
                shown(rule.severity, SEVERITY_STYLES.get(rule.severity, BOLD)),
                Text(f"{rule.risk_score:g}"),
                shown(rule.type),
                shown(rule.name),
                shown(", ".join(dict.fromkeys(rule.tactics))),
                shown(", ".join(rule.technique_ids)),
                Text("yes") if rule.runnable else shown(f"no: {rule.not_runnable}", DIM),
            )
        )
    columns.close()
