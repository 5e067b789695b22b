"""`maxspan rules check`: what is wrong with rule files, for people and for CI."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from maxspan.errors import Problem
    from maxspan.rules.model import Ruleset
    from maxspan.sinks.output import Output

_SHOWN_REASONS: Final = 12


@click.command("check", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("-r", "--rules", "more", multiple=True, metavar="PATH", help="Rules: file, folder or glob; like PATH.")
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="Fail on warnings too.")
def command(paths: tuple[str, ...], more: tuple[str, ...], form: str, strict: bool) -> None:
    """Say what is wrong with rules: all of it, each with file, line and remedy.

    Rules of a type that cannot run yet are no errors; they are counted with the reason. Without a PATH the rules that
    come with maxspan are checked. The format github gives annotations for a workflow of GitHub Actions.

    Exit status: 0 = no errors, 2 = errors, or warnings with --strict.
    """
    from maxspan.cli.rules_output import BAD_RULES, load, writing

    ruleset = load((*paths, *more))
    with writing() as output:
        _write(ruleset, form, output)
    _summary(ruleset)
    if ruleset.errors or (strict and ruleset.warnings):
        raise SystemExit(BAD_RULES)


def _write(ruleset: Ruleset, form: str, output: Output) -> None:
    from maxspan.alerts.encode import to_safe_json
    from maxspan.cli.rules_output import rendered

    if form == "json":
        output.write(to_safe_json(_document(ruleset)) + b"\n")
        return
    for problem in ruleset.problems:
        text = _annotation(problem) if form == "github" else rendered(problem) + "\n"
        output.write((text + "\n").encode("utf-8", "backslashreplace"))


def _document(ruleset: Ruleset) -> dict[str, object]:
    return {
        "files": ruleset.files,
        "rules": len(ruleset),
        "runnable": len(ruleset.runnable),
        "errors": len(ruleset.errors),
        "warnings": len(ruleset.warnings),
        "problems": [asdict(problem) for problem in ruleset.problems],
        "not_runnable": [
            {"id": rule.id, "name": rule.name, "path": rule.path, "reason": rule.not_runnable}
            for rule in ruleset.not_runnable
        ],
    }


def _annotation(problem: Problem) -> str:
    """Write a workflow command of GitHub Actions. Source: "Workflow commands", docs.github.com."""
    places = {"file": problem.path, "title": problem.code}
    if problem.line:
        places["line"] = str(problem.line)
        if problem.column and problem.path.lower().endswith(".toml"):  # in JSON it counts within the query
            places["col"] = str(problem.column)
            places["endColumn"] = str(problem.column + problem.width)
    message = problem.message + (f" (hint: {problem.hint})" if problem.hint else "")
    listed = ",".join(f"{key}={_escaped(value, of_property=True)}" for key, value in places.items())
    return f"::{problem.severity} {listed}::{_escaped(message)}"


def _escaped(text: str, *, of_property: bool = False) -> str:
    from maxspan.alerts.printable import printable

    text = printable(text).replace("%", "%25")
    return text.replace(":", "%3A").replace(",", "%2C") if of_property else text


def _summary(ruleset: Ruleset) -> None:
    from maxspan.alerts.printable import printable
    from maxspan.rules.load import SAME_ID
    from maxspan.sinks.summary import counted

    click.echo(
        f"{counted(ruleset.files, 'file')}, {counted(len(ruleset), 'rule')}, {len(ruleset.runnable):,} can run; "
        f"errors: {len(ruleset.errors):,}, warnings: {len(ruleset.warnings):,}",
        err=True,
    )
    reasons = Counter(
        SAME_ID if rule.not_runnable.startswith(SAME_ID) else rule.not_runnable for rule in ruleset.not_runnable
    )
    shown = reasons.most_common(_SHOWN_REASONS)
    for reason, count in shown:
        click.echo(f"  {count:,} {printable(reason[:160])}", err=True)
    rest = reasons.total() - sum(count for _, count in shown)
    if rest:
        click.echo(
            f"  {rest:,} for {len(reasons) - len(shown):,} other reasons (maxspan rules list --not-runnable)", err=True
        )
