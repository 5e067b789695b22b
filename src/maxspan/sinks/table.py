"""Rows in columns: one a line where it goes to a file or a pipe, folded to the width on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from maxspan.alerts.group import AlertGroup
from maxspan.alerts.reason import phrase_of
from maxspan.sinks.layout import Trimmed
from maxspan.sinks.reading import read
from maxspan.sinks.style import BOLD, SEVERITY_STYLES, shown

#: Rows that are held back to find the widths of the columns; later rows use the same.
_LOOKAHEAD: Final = 500
#: No column is wider than this when nothing has to fit a terminal.
_WIDEST: Final = 200
#: On terminals with fewer columns the table of alerts leaves out what is told elsewhere.
_WIDE_ENOUGH: Final = 110


class Columns:
    """Prints rows of cells under a heading, in bounded memory: the first rows decide how wide the columns are.

    Cells are folded to the console's width if `fold`; the first `whole` columns only when there is no other way.
    """

    def __init__(self, console: Console, headings: Sequence[str], *, fold: bool, whole: int = 0) -> None:
        self._console = console
        self._headings = [shown(heading, BOLD) for heading in headings]
        self._fold = fold
        self._whole = whole
        self._waiting: list[tuple[Sequence[Text], bool]] = []
        self._widths: list[int] | None = None

    def add(self, cells: Sequence[Text], *, gap: bool = False) -> None:
        """Add a row; `gap` leaves an empty line before it."""
        self._waiting.append((cells, gap))
        if self._widths is not None or len(self._waiting) >= _LOOKAHEAD:
            self._print()

    def close(self) -> None:
        self._print()
        self._console.file.flush()

    def _print(self) -> None:
        if not self._waiting:
            return
        first = self._widths is None
        widths = self._widths = self._widths or self._measure()
        if first:
            self._row(self._headings, widths)
        for cells, gap in self._waiting:
            if gap:
                self._console.print()
            self._row(cells, widths)
        self._waiting = []

    def _measure(self) -> list[int]:
        rows: list[Sequence[Text]] = [self._headings, *(cells for cells, _ in self._waiting)]
        natural = [max(1, min(_WIDEST, max(row[at].cell_len for row in rows))) for at in range(len(self._headings))]
        if not self._fold:
            return natural
        room = self._console.width - 2 * (len(natural) - 1)
        whole = natural[: self._whole]
        rest = room - sum(whole)
        if rest < 8 * (len(natural) - len(whole)):
            return fitted(natural, room)
        return whole + fitted(natural[self._whole :], rest)

    def _row(self, cells: Sequence[Text], widths: Sequence[int]) -> None:
        if self._fold:
            grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
            for width in widths:
                grid.add_column(width=width, overflow="fold")
            grid.add_row(*cells)
            self._console.print(Trimmed(grid))
            return
        line = Text()
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            line.append_text(cell)
            if at < len(widths) - 1:
                line.append(" " * (max(width - cell.cell_len, 0) + 2))
        line.rstrip()
        self._console.print(line, soft_wrap=True)


def fitted(natural: Sequence[int], room: int) -> list[int]:
    """Share `room` among columns that would like `natural`: narrow ones get all they want, wide ones share the rest."""
    widths = [0] * len(natural)
    open_ = sorted(range(len(natural)), key=lambda at: natural[at])
    left = max(room, len(natural))
    while open_:
        share = max(left // len(open_), 1)
        at = open_.pop(0)
        widths[at] = min(natural[at], share)
        left -= widths[at]
    return widths


class TableSink:
    """One row a detection: when, how bad, which rule, where, who, what happened; the least of it on a narrow terminal.

    With `fold` the rows fit the console, else each is one line.
    """

    HEADINGS: Final = ("TIME", "SEVERITY", "RISK", "RULE", "HOST", "USER", "WHAT HAPPENED")
    NARROW: Final = ("TIME", "SEVERITY", "RULE", "HOST", "WHAT HAPPENED")

    def __init__(self, console: Console, *, fold: bool) -> None:
        self._narrow = fold and console.width < _WIDE_ENOUGH
        headings = self.NARROW if self._narrow else self.HEADINGS
        self._columns = Columns(console, headings, fold=fold, whole=2 if self._narrow else 3)

    def write(self, group: AlertGroup) -> None:
        reading = read(group)
        told = "; ".join(dict.fromkeys(phrase_of(event) for event in reading.events))
        severity = shown(group.severity, SEVERITY_STYLES.get(group.severity, BOLD))
        time, rule, host = reading.time.removesuffix(" UTC"), shown(group.rule_name), shown(reading.host)
        if self._narrow:
            self._columns.add((Text(time.partition(".")[0]), severity, rule, host, shown(told)))
            return
        risk = Text(f"{group.risk_score:g}")
        self._columns.add((Text(time), severity, risk, rule, host, shown(reading.user), shown(told)))

    def close(self) -> None:
        self._columns.close()
