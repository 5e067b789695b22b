"""Options that several commands share, declared once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import click

Function = TypeVar("Function", bound=Callable[..., Any])
Form = Literal["text", "table", "ndjson", "json"]
Color = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What every command that reads event files can be told."""

    events: tuple[str, ...]
    form: Form
    into: Path | None
    color: Color
    engine: Literal["kernel", "reference"] | None
    jobs: int
    strict: bool
    quiet: bool


def scan_options(text_help: str) -> Callable[[Function], Function]:
    """Add EVENTS and the shared options to a command, which gets them as one `ScanOptions`, its first argument."""

    def decorate(function: Function) -> Function:
        @wraps(function)
        def with_options(
            events: tuple[str, ...],
            form: Form,
            into: Path | None,
            color: Color,
            engine: Literal["kernel", "reference"] | None,
            jobs: int,
            strict: bool,
            quiet: bool,
            **rest: Any,
        ) -> Any:
            return function(ScanOptions(events, form, into, color, engine, jobs, strict, quiet), **rest)

        decorated: Any = with_options
        for declare in reversed(_declarations(text_help)):
            decorated = declare(decorated)
        return cast(Function, decorated)

    return decorate


def _declarations(text_help: str) -> list[Callable[[Any], Any]]:
    return [
        click.argument("events", nargs=-1, required=True, metavar="EVENTS..."),
        click.option(
            "--format",
            "form",
            type=click.Choice(["text", "table", "ndjson", "json"]),
            default="text",
            show_default=True,
            help=text_help,
        ),
        click.option(
            "-o",
            "--output",
            "into",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Write results to FILE, which appears when all is written.",
        ),
        click.option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            show_default=True,
            help="Colour of text and tables; auto is for terminals without NO_COLOR.",
        ),
        click.option(
            "--engine",
            type=click.Choice(["kernel", "reference"]),
            help="What runs the rules: the fast kernel (default) or the slow reference; both find the same.",
        ),
        click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Number of processes."),
        click.option("--strict", is_flag=True, help="Exit 3 when events were lost or unreadable, or there were none."),
        click.option("-q", "--quiet", is_flag=True, help="No progress and no summary; what was lost is still told."),
    ]
