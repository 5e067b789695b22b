"""`maxspan rules show`: one rule, to read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from maxspan.rules.model import Rule, Ruleset
    from maxspan.sinks.style import Colour


@click.command("show", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("wanted", metavar="ID|NAME|PATH")
@click.option("-r", "--rules", "paths", multiple=True, metavar="PATH", help="Rules to look in and to relate it to.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
def command(wanted: str, paths: tuple[str, ...], form: str, color: Colour) -> None:
    """Show a rule: what it looks for, its query, guide, false positives, setup, ATT&CK and related rules.

    A rule is named by its id, by its name or a part of it, or by its file.

    Exit status: 0 = shown, 2 = no such rule, several that fit, or errors in its file.
    """
    from maxspan.cli.rules_output import BAD_RULES, complain, load, writing

    ruleset = load(paths)
    own = load([wanted]) if "\0" not in wanted and Path(wanted).exists() else None
    rules = list(own) if own is not None else _find(ruleset, wanted)
    if own is not None:
        complain(own)
    with writing() as output:
        if form == "json":
            _json(rules, ruleset, output.write)
        else:
            from maxspan.sinks.output import text_file
            from maxspan.sinks.style import console_for

            console = console_for(text_file(output), colour=color)
            for number, rule in enumerate(rules):
                if number:
                    console.rule()
                _text(rule, ruleset, console)
            console.file.flush()
    if not rules or (own is not None and own.errors):
        raise SystemExit(BAD_RULES)


def _find(ruleset: Ruleset, wanted: str) -> list[Rule]:
    from maxspan.alerts.printable import printable
    from maxspan.rules.selection import look_up, suggestions

    found = look_up(ruleset, wanted)
    if len(found) == 1:
        return found
    if found:
        names = ", ".join(printable(rule.name) for rule in found[:5])
        raise click.UsageError(
            f"{len(found):,} rules fit {printable(wanted)!r}: {names}{', ...'[: 6 * (len(found) > 5)]}"
        )
    near = suggestions(ruleset, wanted)
    hint = f"; did you mean {' or '.join(printable(repr(name)) for name in near)}?" if near else ""
    raise click.UsageError(f"no rule is called {printable(wanted)!r} among {len(ruleset):,} rules{hint}")


def _json(rules: Sequence[Rule], ruleset: Iterable[Rule], write: Callable[[bytes], None]) -> None:
    from maxspan.alerts.encode import to_safe_json
    from maxspan.cli.rules_output import document
    from maxspan.rules.selection import related

    shown = []
    for rule in rules:
        extra = {
            "description": rule.description,
            "query": rule.query,
            "language": rule.language,
            "index": list(rule.index),
            "note": rule.note,
            "setup": rule.setup,
            "false_positives": list(rule.false_positives),
            "references": list(rule.references),
            "author": list(rule.author),
            "license": rule.license,
            "threat": [entry.document() for entry in rule.threat],
            "related": [{"id": item.id, "name": item.name, "shared": same} for item, same in related(rule, ruleset)],
        }
        shown.append({**document(rule), **extra})
    write(to_safe_json(shown[0] if len(shown) == 1 else shown) + b"\n")


def _text(rule: Rule, ruleset: Iterable[Rule], console: Console) -> None:
    from rich.text import Text

    from maxspan.rules.selection import related
    from maxspan.sinks.style import BOLD, DIM, SEVERITY_STYLES, shown

    def heading(title: str) -> None:
        console.print()
        console.print(Text(title, style=BOLD))

    def lines(text: str) -> None:
        for line in text.splitlines():
            console.print(Text("  ") + shown(line.replace("\t", "    ")), soft_wrap=not console.is_terminal)

    console.print(shown(rule.name, SEVERITY_STYLES.get(rule.severity, BOLD)))
    facts = f"{rule.severity}, risk score {rule.risk_score:g} - {rule.type} - version {rule.version} - {rule.id}"
    console.print(shown(facts, DIM))
    console.print(shown(rule.path + (f":{rule.line}" if rule.line else ""), DIM))
    if not rule.runnable:
        console.print(shown(f"This rule does not run: {rule.not_runnable}", BOLD))
    if rule.description:
        heading("What it looks for")
        _markdown(rule.description, console)
    if rule.query:
        heading(f"Query ({rule.language or 'no language'})")
        lines(rule.query.strip("\n"))
    if rule.threat:
        heading("ATT&CK")
        for entry in rule.threat:
            lines(f"{entry.tactic_id} {entry.tactic_name}")
            for technique in entry.techniques:
                lines(f"  {technique.id} {technique.name}")
                for below in technique.subtechniques:
                    lines(f"    {below.id} {below.name}")
    if rule.note:
        heading("Investigation guide")
        _markdown(rule.note, console)
    for title, items in (("False positives", rule.false_positives), ("References", rule.references)):
        if items:
            heading(title)
            for item in items:
                lines(f"- {' '.join(item.split())}")
    if rule.setup:
        heading("Setup")
        _markdown(rule.setup, console)
    about = {"Index": rule.index, "Tags": rule.tags, "Author": rule.author, "License": (rule.license,)}
    heading("About")
    for label, values in about.items():
        if any(values):
            lines(f"{label}: {', '.join(values)}")
    near = related(rule, ruleset)
    if near:
        heading("Related rules")
        for other, same in near:
            lines(f"- {other.name} ({', '.join(same[:4])})")


def _markdown(text: str, console: Console) -> None:
    """Print Markdown as rich draws it; what could control the terminal is made visible before."""
    from rich.markdown import Markdown
    from rich.padding import Padding

    from maxspan.alerts.printable import printable

    safe = "\n".join(printable(line.replace("\t", "    ")) for line in text.splitlines())
    console.print(Padding(Markdown(safe, hyperlinks=False), (0, 0, 0, 2)))
