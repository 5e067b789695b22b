"""Which alert belongs to what was run: by the tree of processes, so that nothing else on the host counts."""

from __future__ import annotations

from collections.abc import Iterable

from lab.outcome import Alert, Outcome
from lab.watch import Sensor

#: A process's first event may be older than the moment at which the runner learned its number.
EARLIER_SECONDS = 2.0
DEEPEST = 64


def attribute(watch: Sensor, outcomes: Iterable[Outcome]) -> list[str]:
    """Give every outcome its alerts under this watch; returns the rules of alerts that belong to none."""
    tree = _Tree(watch, outcomes)
    strangers = []
    for seen in watch.alerts(lambda entity: tree.owner(entity) is not None):
        owner = next((found for entity in sorted(seen.entities) if (found := tree.owner(entity))), None)
        if owner is None:
            strangers.append(seen.rule)
        else:
            owner.alerts[watch.backend].append(
                Alert(seen.rule, None if seen.seen is None else seen.seen - seen.completed)
            )
    return strangers


class _Tree:
    """Finds the outcome that a process belongs to.

    It descends from what the outcome started; or it is an orphan: then its parent is the first process of a machine,
    as far as the backend knows, and it belongs to what ran there when it came."""

    def __init__(self, watch: Sensor, outcomes: Iterable[Outcome]) -> None:
        self._parents = watch.parents
        self._first = {entity: at for seen in watch.by_pid.values() for at, entity in seen}
        self._owners: dict[str, Outcome] = {}
        self._adopters: dict[str, list[Outcome]] = {}
        for outcome in outcomes:
            outcome.alerts[watch.backend] = []
            for pid in outcome.roots:
                for at, entity in watch.by_pid.get(pid, []):
                    if _within(outcome, at):
                        self._owners[entity] = outcome
            for pid in outcome.machines:
                for _, entity in watch.by_pid.get(pid, []):
                    self._adopters.setdefault(entity, []).append(outcome)

    def owner(self, entity: str) -> Outcome | None:
        for _ in range(DEEPEST):
            if entity in self._owners:
                return self._owners[entity]
            parent = self._parents.get(entity, "")
            if parent in self._adopters:
                at = self._first[entity]
                return next((one for one in self._adopters[parent] if _within(one, at)), None)
            if not parent:
                return None
            entity = parent
        return None


def _within(outcome: Outcome, at: float) -> bool:
    return outcome.started - EARLIER_SECONDS <= at <= outcome.ended
