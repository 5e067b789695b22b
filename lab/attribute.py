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
    owners: dict[str, Outcome] = {}
    for outcome in outcomes:
        outcome.alerts[watch.backend] = []
        for pid in outcome.roots:
            for at, entity in watch.by_pid.get(pid, []):
                if outcome.started - EARLIER_SECONDS <= at <= outcome.ended:
                    owners[entity] = outcome
    strangers = []
    for seen in watch.alerts(lambda entity: _owner(watch, owners, entity) is not None):
        owner = next((found for entity in sorted(seen.entities) if (found := _owner(watch, owners, entity))), None)
        if owner is None:
            strangers.append(seen.rule)
        else:
            owner.alerts[watch.backend].append(
                Alert(seen.rule, None if seen.seen is None else seen.seen - seen.completed)
            )
    return strangers


def _owner(watch: Sensor, owners: dict[str, Outcome], entity: str) -> Outcome | None:
    for _ in range(DEEPEST):
        if entity in owners:
            return owners[entity]
        entity = watch.parents.get(entity, "")
        if not entity:
            return None
    return None
