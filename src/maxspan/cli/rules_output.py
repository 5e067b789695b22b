"""What the commands about rules share: loading with a word about what is wrong, and writing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import click

from maxspan.alerts.printable import printable
from maxspan.errors import Problem, SinkError
from maxspan.rules.load import load_rules
from maxspan.rules.model import Rule, Ruleset
from maxspan.sinks.output import ClosedPipe, Output

BAD_RULES: Final = 2
NOT_WRITTEN: Final = 4
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141


def load(paths: Iterable[str]) -> Ruleset:
    """Load rules (without paths those that come with maxspan); remarks on the loading go to standard error."""
    ruleset = load_rules(list(paths) or None)
    for note in ruleset.notes:
        click.echo(f"note: {printable(note)}", err=True)
    return ruleset


def rendered(problem: Problem) -> str:
    """Give a problem as lines that are safe to print."""
    return "\n".join(map(printable, problem.render().split("\n")))


def complain(ruleset: Ruleset) -> None:
    """Print the errors of a rule set on standard error."""
    for problem in ruleset.errors:
        click.echo(rendered(problem), err=True)


@contextmanager
def writing() -> Iterator[Output]:
    """Open standard output; what hinders the writing becomes an exit status: 4, 130 or 141."""
    try:
        with Output() as output:
            yield output
    except ClosedPipe:
        raise SystemExit(PIPE_CLOSED) from None
    except SinkError as error:
        click.echo(f"error: {printable(str(error))}", err=True)
        raise SystemExit(NOT_WRITTEN) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def document(rule: Rule) -> dict[str, object]:
    """Give what a list says about a rule."""
    return {
        "id": rule.id,
        "name": rule.name,
        "type": rule.type,
        "severity": rule.severity,
        "risk_score": rule.risk_score,
        "tags": list(rule.tags),
        "tactics": list(rule.tactics),
        "techniques": list(rule.technique_ids),
        "os": list(rule.os),
        "runnable": rule.runnable,
        "not_runnable": rule.not_runnable,
        "format": rule.format,
        "version": rule.version,
        "path": rule.path,
        "line": rule.line,
    }
