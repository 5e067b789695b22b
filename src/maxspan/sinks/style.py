"""Colours, signs and the one way that text from events gets onto a terminal."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO, Final, Literal

from rich.console import Console
from rich.style import Style
from rich.text import Text

from maxspan.alerts.printable import clip, pieces

Colour = Literal["auto", "always", "never"]

#: A value takes this many characters at most where an alert is told to people; documents have all of it.
LONGEST: Final = 1_000
#: Width of results that do not go to a terminal, and the widest that running text gets on one.
PLAIN_WIDTH: Final = 100
READING_WIDTH: Final = 110

SEVERITY_STYLES: Final = {
    "critical": Style.parse("bold white on red"),
    "high": Style.parse("bold red"),
    "medium": Style.parse("bold yellow"),
    "low": Style.parse("bold cyan"),
}
BAR_STYLES: Final = {
    "critical": Style.parse("red"),
    "high": Style.parse("red"),
    "medium": Style.parse("yellow"),
    "low": Style.parse("cyan"),
}
QUERY_BAR: Final = Style.parse("blue")
DIM: Final = Style.parse("dim")
BOLD: Final = Style.parse("bold")
ESCAPED: Final = Style.parse("reverse")
WARNING: Final = Style.parse("bold yellow")
NONE: Final = Style.null()


@dataclass(frozen=True, slots=True)
class Signs:
    """The few characters beyond ASCII that we draw with, and what stands for them where the output cannot have them."""

    bar: str = "▌"
    dot: str = "·"
    then: str = "›"
    arrow: str = "→"
    more: str = "…"
    dash: str = "—"
    unicode: bool = True

    def step(self, number: int) -> str:
        """Give the sign of a step of a detection: ① to ⑳, `(21)`."""
        return chr(0x245F + number) if self.unicode and 1 <= number <= 20 else f"({number})"


PLAIN_SIGNS: Final = Signs("|", "-", ">", "->", "...", "-", False)


def signs_for(encoding: str) -> Signs:
    return Signs() if encoding.lower().replace("-", "").startswith("utf") else PLAIN_SIGNS


def console_for(file: IO[str], *, colour: Colour = "auto", width: int | None = None) -> Console:
    """Make a console that never interprets text: no markup, no emoji codes, no highlighting.

    Colour appears on terminals only, and not under NO_COLOR or TERM=dumb, unless `colour` says otherwise. The width is
    the terminal's, that of COLUMNS, or else `PLAIN_WIDTH`.
    """
    columns = os.environ.get("COLUMNS", "")
    if width is None and not file.isatty():
        width = int(columns) if columns.isdigit() and int(columns) > 0 else PLAIN_WIDTH
    return Console(
        file=file,
        width=None if width is None else max(width, 20),
        force_terminal={"always": True, "never": False}.get(colour),
        color_system="standard" if colour == "always" else "auto" if colour == "auto" else None,
        no_color=False if colour == "always" else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def shown(text: str, style: Style = NONE) -> Text:
    """Give text of an event or a rule to print: on one line, what is hidden or controls a terminal as escapes."""
    out = Text(style=style)
    for piece, escaped in pieces(text):
        out.append(piece, style=ESCAPED if escaped else None)
    return out


def clipped(text: str, style: Style = NONE, *, most: int = LONGEST) -> Text:
    """Give text as `shown` does; of one that takes more than `most` characters a mark says how many are left out."""
    begin, left_out, end = clip(text, most)
    out = shown(begin, style)
    if left_out:
        out.append(f" [... {left_out:,} characters left out ...] ", style=WARNING)
        out.append_text(shown(end, style))
    return out


def joined(parts: list[Text], between: str, style: Style = DIM) -> Text:
    """Join the parts that are not empty."""
    out = Text()
    for part in parts:
        if part.plain:
            if out.plain:
                out.append(between, style=style)
            out.append_text(part)
    return out
