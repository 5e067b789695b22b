"""What is wrong with a rule, and where in its file that stands.

The readers of the formats say *what* and at which key (a `Complaint`); the file's text says *where*
(a `Locator` makes a `Problem` of it, with line, column and the line itself).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Protocol

from maxspan.errors import Problem, Severity, Span, line_and_column
from maxspan.rules.positions import KeyPath, Place, in_string, places

#: Lines are shown up to this length; generated files have longer ones.
_LONGEST_LINE: Final = 1000


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong at the key `at` of a file; with `of_value` the value is underlined, not the key.

    With a `span`, `at` is the key of a query, `text` that query, and the span the piece of it to underline.
    """

    code: str
    message: str
    severity: Severity = "error"
    at: KeyPath = ()
    of_value: bool = False
    hint: str = ""
    span: Span | None = None
    text: str = ""


def shortened(line: str, column: int) -> str:
    """Give a line to show: without the end if it is very long, nothing if the place itself is far out."""
    if len(line) <= _LONGEST_LINE:
        return line
    return line[:_LONGEST_LINE] if column < _LONGEST_LINE // 2 else ""


class Locator(Protocol):
    """Knows the path and the text of a file."""

    @property
    def path(self) -> str: ...

    def problem(self, complaint: Complaint) -> Problem: ...


@dataclass(frozen=True)
class TomlText:
    """A TOML file; `text` has plain newlines."""

    path: str
    text: str

    @cached_property
    def _places(self) -> Mapping[KeyPath, Place]:
        return places(self.text)

    def problem(self, complaint: Complaint) -> Problem:
        start, end = self._bounds(complaint)
        line, column = line_and_column(self.text, start)
        excerpt = self.text[start - column + 1 :].partition("\n")[0]
        return Problem(
            code=complaint.code,
            message=complaint.message,
            severity=complaint.severity,
            path=self.path,
            line=line if end else 0,
            column=column if end else 0,
            excerpt=shortened(excerpt, column) if end else "",
            width=max(1, end - start),
            hint=complaint.hint,
        )

    def _bounds(self, complaint: Complaint) -> tuple[int, int]:
        """Give the bounds of the place; of a key that is not there, of its table; (0, 0) without either."""
        at = complaint.at
        place = self._places.get(at)
        while place is None and at:
            at = at[:-1]
            place = self._places.get(at)
        if place is None:
            return 0, 0
        if complaint.span is not None and at == complaint.at:
            start = in_string(self.text, place.value, complaint.span.start)
            return start, max(start + 1, in_string(self.text, place.value, complaint.span.end))
        if complaint.of_value and at == complaint.at:
            return place.value, place.value_end
        return place.key, place.key_end


@dataclass(frozen=True, slots=True)
class JsonText:
    """A rule inside a JSON file: only its line is known; an error of its query is shown in the query's own line."""

    path: str
    line: int

    def problem(self, complaint: Complaint) -> Problem:
        message = complaint.message
        if complaint.at:
            message += f" (at {'.'.join(map(str, complaint.at))})"
        problem = Problem(complaint.code, message, complaint.severity, self.path, self.line, hint=complaint.hint)
        if complaint.span is None:
            return problem
        line, column = line_and_column(complaint.text, complaint.span.start)
        return replace(
            problem,
            message=f"{complaint.message} (line {line}, column {column} of the query)",
            column=column,
            excerpt=shortened(complaint.text.split("\n")[line - 1], column),
            width=max(1, complaint.span.end - complaint.span.start),
        )
