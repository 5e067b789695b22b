"""The last word of a run, on standard error: what was done, and everything that was not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from rich.text import Text

from maxspan.engine.report import Report
from maxspan.errors import Problem
from maxspan.sinks.style import BOLD, DIM, NONE, SEVERITY_STYLES, WARNING, joined, shown

#: Places shown of each kind of trouble, and reasons shown why rules did not run.
_PLACES: Final = 5
_REASONS: Final = 8
#: How most reasons begin.
_NOT_YET: Final = "not runnable yet: "

_COUNTED: Final = {
    "unreadable-line": ("unreadable", "line could not be read", "lines could not be read"),
    "no-timestamp": (
        "without_timestamp",
        "event without a timestamp could not take part in sequences",
        "events without a timestamp could not take part in sequences",
    ),
}


def summary(report: Report, things: str = "alert") -> Iterator[Text]:
    """Give the lines of the whole summary; text from files is made safe. `things` names what was looked for."""
    yield _headline(report, things)
    yield _figures(report)
    yield from _rules(report)
    yield from trouble(report)


def _headline(report: Report, things: str) -> Text:
    head = Text(counted(report.shown, things) + ("" if report.complete else " so far"), style=BOLD)
    by_severity = [
        Text(f"{count:,} {severity}", style=SEVERITY_STYLES.get(severity, NONE))
        for severity, count in report.alerts_by_severity
    ]
    if by_severity:
        head = Text.assemble(head, ": ", joined(by_severity, ", "))
    if report.hidden:
        head.append(f" ({report.hidden:,} more hidden by options)")
    if report.repeated:
        head.append(f" ({counted(report.repeated, 'repeat')}: the same events came in more than once)")
    return head


def _figures(report: Report) -> Text:
    counters = report.counters
    told = f"{counted(counters.events, 'event')} ({size(counters.bytes)}) from {counted(report.files, 'file')}"
    told += f" in {report.elapsed_seconds:.2f} s"
    if counters.events:
        told += f", {report.events_per_second:,.0f} events/s"
    return Text(f"{told} (reference engine)" if report.engine == "reference" else told)


def _rules(report: Report) -> Iterator[Text]:
    ran = f"{counted(report.rules_run, 'rule')} run"
    if not report.rules_not_run:
        yield Text(ran)
    else:
        yield Text(f"{ran}, {report.rules_not_run.total():,} not:")
        reasons = report.rules_not_run.most_common()
        for reason, count in reasons[:_REASONS]:
            yield Text.assemble(f"  {count:>5,}  ", shown(reason.removeprefix(_NOT_YET)))
        if rest := sum(count for _, count in reasons[_REASONS:]):
            yield Text(f"  {rest:>5,}  for other reasons (maxspan rules list tells)")
    if report.rule_errors:
        yield _warning(f"{counted(report.rule_errors, 'error')} in rules (maxspan rules check tells all)")
    if report.rule_warnings:
        yield Text(f"{counted(report.rule_warnings, 'warning')} about rules (maxspan rules check tells)", style=DIM)


def trouble(report: Report) -> Iterator[Text]:
    """Give the lines about what was lost or is not complete; none if all is well."""
    if not report.complete:
        yield _warning(f"stopped{_how_far(report)}: what is told here is not all")
    elif not report.counters.events:
        yield _warning(f"0 events: nothing was scanned ({_why_nothing(report)})")
    yield from _by_code(report.source_problems)
    counters = report.counters
    for code, (name, one, many) in _COUNTED.items():
        if count := getattr(counters, name):
            yield _warning(f"{count:,} {one if count == 1 else many}")
            yield from _where([problem for problem in counters.problems if problem.code == code], count)
    if counters.late:
        yield _warning(f"{counted(counters.late, 'event')} came too late to be used")
    if counters.evicted:
        yield _warning(f"{counted(counters.evicted, 'unfinished sequence')} given up for want of memory")
    yield from _by_code([problem for problem in counters.problems if problem.code not in _COUNTED])


def _how_far(report: Report) -> str:
    if not report.total_bytes:
        return ""
    share = report.read_bytes / report.total_bytes
    return f" after {share:.0%} of the input" if share < 1 else " when all was read, but not all rules were done"


def _why_nothing(report: Report) -> str:
    if not report.files:
        return "no event file was found"
    if report.counters.unreadable:
        return "no line could be read"
    return "the file is empty" if report.files == 1 else f"all {report.files:,} files are empty"


def _by_code(problems: Iterable[Problem]) -> Iterator[Text]:
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(problem.code, []).append(problem)
    for of_kind in kinds.values():
        for problem in of_kind[:_PLACES]:
            sign = _warning("") if problem.severity == "error" else Text("  ")
            yield Text.assemble(sign, shown(_place(problem)), ": ", shown(problem.message))
            if problem.hint:
                yield Text.assemble("    hint: ", shown(problem.hint), style=DIM)
        if len(of_kind) > _PLACES:
            yield Text(f"    and {len(of_kind) - _PLACES:,} more of this kind", style=DIM)


def _where(problems: list[Problem], count: int) -> Iterator[Text]:
    for problem in problems[:_PLACES]:
        yield Text.assemble("    ", shown(_place(problem)), ": ", shown(problem.message), style=DIM)
    if rest := count - len(problems[:_PLACES]):
        yield Text(f"    and {rest:,} more", style=DIM)


def _place(problem: Problem) -> str:
    return f"{problem.path}:{problem.line}" if problem.line else problem.path or "input"


def _warning(text: str) -> Text:
    return Text.assemble(("! ", WARNING), (text, BOLD))


def counted(number: int, thing: str) -> str:
    """Write `1 file`, `2,000 files`, `2 matches`."""
    plural = thing if number == 1 else f"{thing}es" if thing.endswith("ch") else f"{thing}s"
    return f"{number:,} {plural}"


def size(size_bytes: float) -> str:
    """Write a number of bytes for people, in powers of ten: `512 B`, `1.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 999.5:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.3g} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:,.1f} TB"
