"""What became of one thing that was run, and the alerts that belong to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["attack", "benign", "related"]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as the lab saw it: `seconds` lie between the event that completed the match and the alert on disk.

    None where the rules ran after the recording."""

    rule: str
    seconds: float | None


@dataclass(slots=True)
class Outcome:
    """One row of the report. Times are seconds from the epoch; `roots` the host's numbers of what was started, and
    `machines` those of the first processes of the machines that it ran on, which adopt orphans.

    `worked` tells for an attack that a shell answered, for other things that they ended well; None when it was skipped
    (`trouble` says why). `alerts` maps a backend to the alerts under it, in the order in which they were seen; a
    backend that did not watch is not in it.
    """

    name: str
    kind: Kind
    what: str
    worked: bool | None = None
    trouble: str = ""
    started: float = 0.0
    ended: float = 0.0
    roots: tuple[int, ...] = ()
    machines: tuple[int, ...] = ()
    expected: str = ""
    alerts: dict[str, list[Alert]] = field(default_factory=dict)

    def rules(self, backend: str) -> list[str]:
        """Names of the rules that fired, each once, in order of time."""
        return list(dict.fromkeys(alert.rule for alert in self.alerts.get(backend, [])))

    def first_seconds(self, backend: str) -> float | None:
        """Seconds to the first alert; None without one."""
        found = self.alerts.get(backend, [])
        return found[0].seconds if found else None

    def document(self) -> dict[str, Any]:
        """The row as JSON takes it; times of day are left out, so that two runs can be compared."""
        alerts = {
            backend: [
                {"rule": alert.rule, "seconds": None if alert.seconds is None else round(alert.seconds, 3)}
                for alert in found
            ]
            for backend, found in self.alerts.items()
        }
        return {
            "name": self.name,
            "kind": self.kind,
            "what": self.what,
            "worked": self.worked,
            "trouble": self.trouble,
            "expected": self.expected,
            "alerts": alerts,
        }
