"""The tables of a run, as Markdown for people and JSON for programs."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.outcome import Outcome

FOUNDING = "Potential Reverse Shell"


def summary(outcomes: Sequence[Outcome], backends: Sequence[str]) -> dict[str, Any]:
    """Counts for each backend; `alerts_of_ordinary_work` leaves the founding rule out, which stays as it is."""
    attacks = [outcome for outcome in outcomes if outcome.kind == "attack" and outcome.worked is not None]
    benign = [outcome for outcome in outcomes if outcome.kind == "benign" and outcome.worked is not None]
    related = [outcome for outcome in outcomes if outcome.kind == "related" and outcome.worked is not None]
    out: dict[str, Any] = {
        "payloads": len(attacks),
        "shells": sum(bool(outcome.worked) for outcome in attacks),
        "activities": len(benign),
        "activities_that_worked": sum(bool(outcome.worked) for outcome in benign),
        "skipped": [outcome.name for outcome in outcomes if outcome.worked is None],
    }
    for backend in backends:
        ours = {outcome.name: [rule for rule in outcome.rules(backend) if rule != FOUNDING] for outcome in outcomes}
        alerts = [alert for outcome in outcomes for alert in outcome.alerts.get(backend, [])]
        delays = sorted(alert.seconds for alert in alerts if alert.seconds is not None)
        out[backend] = {
            "caught": sum(bool(ours[outcome.name]) for outcome in attacks),
            "caught_by_founding_rule": sum(FOUNDING in outcome.rules(backend) for outcome in attacks),
            "missed": [outcome.name for outcome in attacks if not ours[outcome.name]],
            "alerts_of_ordinary_work": sum(
                alert.rule != FOUNDING for outcome in benign for alert in outcome.alerts.get(backend, [])
            ),
            "ordinary_work_with_founding_rule": sum(FOUNDING in outcome.rules(backend) for outcome in benign),
            "related_fired": sum(outcome.expected in outcome.rules(backend) for outcome in related),
            "related": len(related),
            "seconds_to_alert": {
                "median": _quantile(delays, 0.5),
                "p99": _quantile(delays, 0.99),
                "worst": _quantile(delays, 1.0),
            },
        }
    return out


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3) if ordered else None


def document(
    outcomes: Sequence[Outcome], backends: Sequence[str], said: dict[str, str], through: str
) -> dict[str, Any]:
    """The whole run. `said` holds the last words of each sensor."""
    return {
        "through": through,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "summary": summary(outcomes, backends),
        "said": said,
        "outcomes": [outcome.document() for outcome in outcomes],
    }


HOW = {
    "watch": "`maxspan watch` printed. *Seconds* lie between the event that completed the match and the alert on disk.",
    "record": "`maxspan record` wrote; the rules ran over the recordings by the reference engine, so there are no "
    "seconds to the alert.",
}


def markdown(outcomes: Sequence[Outcome], backends: Sequence[str], through: str) -> str:
    """Three tables: payloads, ordinary work, related rules. `through` is the command that watched."""
    counts = summary(outcomes, backends)
    lines = ["# Lab: the last run", ""]
    lines += [
        f"Made by `python -m lab` on kernel {platform.release()}, {platform.machine()}: what was really run, and what "
        f"{HOW[through]} [lab-results.json](lab-results.json) holds every alert. Alerts are given to a row by the "
        "tree of processes.",
        "",
        f"- {counts['payloads']} payloads, {counts['shells']} gave a shell; {counts['activities']} ordinary "
        f"activities, {counts['activities_that_worked']} did their work.",
    ]
    for backend in backends:
        told = counts[backend]
        delay = told["seconds_to_alert"]
        late = "the rules ran over the recording"
        if delay["median"] is not None:
            late = f"seconds to alert: median {delay['median']}, p99 {delay['p99']}, worst {delay['worst']}"
        lines.append(
            f"- **{backend}**: {told['caught']} of {counts['payloads']} payloads caught by the rules written here "
            f"({told['caught_by_founding_rule']} by the founding rule), {told['alerts_of_ordinary_work']} alerts over "
            f"ordinary work (the founding rule fires on {told['ordinary_work_with_founding_rule']} activities), "
            f"{told['related_fired']} of {told['related']} related rules; {late}."
        )
        if told["missed"]:
            lines.append(f"  Missed: {', '.join(told['missed'])}.")
    if counts["skipped"]:
        lines.append(f"- Skipped: {', '.join(counts['skipped'])}.")
    for kind, title, worked in (
        ("attack", "Payloads", "shell"),
        ("benign", "Ordinary work", "worked"),
        ("related", "Related rules", "worked"),
    ):
        lines += ["", f"## {title}", "", _row(["name", "what", worked, *_heads(backends)])]
        lines.append("|" + "---|" * (3 + 2 * len(backends)))
        lines += [_row(_cells(outcome, backends)) for outcome in outcomes if outcome.kind == kind]
    return "\n".join(lines) + "\n"


def _heads(backends: Sequence[str]) -> list[str]:
    return [head for backend in backends for head in (f"rules that fired ({backend})", "seconds")]


def _cells(outcome: Outcome, backends: Sequence[str]) -> list[str]:
    worked = {True: "yes", False: f"**no**: {outcome.trouble}", None: f"skipped: {outcome.trouble}"}[outcome.worked]
    cells = [f"`{outcome.name}`", outcome.what, worked]
    for backend in backends:
        seconds = outcome.first_seconds(backend)
        none = "**none**" if outcome.kind != "benign" else "none"
        cells += ["; ".join(outcome.rules(backend)) or none, "" if seconds is None else f"{seconds:.2f}"]
    return cells


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def write(
    folder: Path, outcomes: Sequence[Outcome], backends: Sequence[str], said: dict[str, str], through: str
) -> tuple[Path, Path]:
    """Write lab-results.md and lab-results.json into a folder; gives both paths."""
    page, data = folder / "lab-results.md", folder / "lab-results.json"
    page.write_text(markdown(outcomes, backends, through), "utf-8")
    text = json.dumps(document(outcomes, backends, said, through), indent=1, ensure_ascii=False)
    data.write_text(text + "\n", "utf-8")
    return page, data
