"""Every error of maxspan, in one tree, and problems as data.

    MaxspanError
    ├── QueryError        a query text that cannot be run: code, span, hint
    ├── RuleError         a rule file that cannot be read or compiled
    ├── SourceError       events that cannot be read (a file that is missing, a broken archive)
    ├── SinkError         results that cannot be written (a full disk)
    ├── SensorError       the live sensor cannot start or stopped
    └── UsageError        options that contradict each other

Exceptions are for the caller of a function. What is wrong with one rule of a thousand is a `Problem`: data with a
code, a place and a hint, collected and shown, which never stops the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a query text: character offsets, `start` inclusive and `end` exclusive."""

    start: int = 0
    end: int = 0

    def __or__(self, other: Span) -> Span:
        return Span(min(self.start, other.start), max(self.end, other.end))


NOWHERE = Span()


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Give line and column, both from 1, of a character offset in `text`."""
    line = text.count("\n", 0, offset) + 1
    return line, offset - (text.rfind("\n", 0, offset) + 1) + 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a rule, a query or an event file.

    `line` and `column` count from 1 (0 = not known). `excerpt` is the line of the file that holds the place, and
    `width` the number of characters to underline from `column`.
    """

    code: str
    message: str
    severity: Severity = "error"
    path: str = ""
    line: int = 0
    column: int = 0
    excerpt: str = ""
    width: int = 1
    hint: str = ""
    rule_id: str = ""
    rule_name: str = ""

    def render(self) -> str:
        """Write the problem as plain text over several lines, the place underlined."""
        where = self.path or "<query>"
        if self.line:
            where += f":{self.line}:{self.column}" if self.column else f":{self.line}"
        out = [f"{where}: {self.severity}[{self.code}]: {self.message}"]
        if self.excerpt:
            number = str(self.line) if self.line else ""
            gutter = " " * len(number)
            out.append(f"{number} | {self.excerpt}")
            if self.column:
                lead = "".join("\t" if c == "\t" else " " for c in self.excerpt[: self.column - 1])
                width = max(1, min(self.width, len(self.excerpt) - self.column + 1))
                out.append(f"{gutter} | {lead}{'^' * width}")
        if self.hint:
            out.append(f"  hint: {self.hint}")
        return "\n".join(out)


class MaxspanError(Exception):
    """Root of all errors that maxspan raises on purpose."""


class QueryError(MaxspanError):
    """A query that cannot be parsed, verified or resolved against a schema.

    `code` is a stable short name (see the error reference in the docs), `span` the offending text, `hint` a remedy
    or an empty string. `line` and `column` count from 1.
    """

    def __init__(self, code: str, message: str, *, span: Span = NOWHERE, text: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.span = span
        self.text = text
        self.hint = hint

    def in_text(self, text: str) -> QueryError:
        """Return the same error, now knowing the text that its span points into."""
        return QueryError(self.code, self.message, span=self.span, text=text, hint=self.hint)

    @property
    def line(self) -> int:
        return line_and_column(self.text, self.span.start)[0]

    @property
    def column(self) -> int:
        return line_and_column(self.text, self.span.start)[1]

    def problem(self, *, path: str = "", first_line: int = 1, first_column: int = 1) -> Problem:
        """Give the error as data; `first_line`/`first_column` say where the query text begins in its file."""
        line, column = line_and_column(self.text, self.span.start)
        lines = self.text.split("\n")
        excerpt = lines[line - 1].rstrip("\r") if line <= len(lines) else ""
        shift = first_column - 1 if line == 1 else 0
        return Problem(
            code=self.code,
            message=self.message,
            path=path,
            line=line + first_line - 1,
            column=column + shift,
            excerpt=" " * shift + excerpt,
            width=max(1, self.span.end - self.span.start),
            hint=self.hint,
        )

    def __str__(self) -> str:
        if not self.text:
            return f"[{self.code}] {self.message}" + (f" (hint: {self.hint})" if self.hint else "")
        return self.problem().render()


class RuleError(MaxspanError):
    """A rule that cannot be used; `problem` says where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.render())
        self.problem = problem


class SourceError(MaxspanError):
    """Events that cannot be read at all: a missing file, a broken archive, a wrong format."""


class SinkError(MaxspanError):
    """Results that cannot be written: a full disk, a folder that is missing, a file that may not be written."""


class SensorError(MaxspanError):
    """The live sensor cannot start, or stopped by itself."""


class UsageError(MaxspanError):
    """Options or arguments that make no sense together."""
