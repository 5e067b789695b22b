"""Small frames around what is printed: a coloured bar, a limit to the width, no space at the end of lines."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style


class Barred:
    """Draws a bar left of everything that belongs together."""

    def __init__(self, body: RenderableType, bar: str, bar_style: Style) -> None:
        self._body = body
        self._bar = Segment(bar, bar_style)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        inner = options.update(width=max(options.max_width - 2, 18))
        for line in console.render_lines(self._body, inner, pad=False):
            yield self._bar
            if kept := without_trailing_space(line):
                yield Segment(" ")
                yield from kept
            yield Segment.line()


class Trimmed:
    """Prints its body without space at the end of lines."""

    def __init__(self, body: RenderableType) -> None:
        self._body = body

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in console.render_lines(self._body, options, pad=False):
            yield from without_trailing_space(line)
            yield Segment.line()


class Narrowed:
    """Keeps running text from growing wider than one likes to read."""

    def __init__(self, body: RenderableType, width: int) -> None:
        self._body = body
        self._width = width

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self._body, options.update(width=min(options.max_width, self._width)))


def without_trailing_space(line: list[Segment]) -> list[Segment]:
    """Cut blanks at the end of a line, but for those that show a background colour."""
    kept = list(line)
    while kept and not kept[-1].text.strip() and not (kept[-1].style and kept[-1].style.bgcolor):
        kept.pop()
    if kept and not (kept[-1].style and kept[-1].style.bgcolor):
        kept[-1] = Segment(kept[-1].text.rstrip(), kept[-1].style)
    return kept
