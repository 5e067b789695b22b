"""The alerts of one detection, kept together on their way to the sinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maxspan.alerts.build import BUILDING_BLOCK, GROUP_INDEX, RISK_SCORE, SEVERITY, UUID, Alert, build_alerts
from maxspan.engine.match import MatchedEvent, RuleMatch


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """What one match became: `head` is the alert to look at (of a sequence the shell), `blocks` its building blocks.

    `places` say where the events stood (`file:line`), in the order of the events; empty where nobody knows.
    `missing` are the stages (from 1) for which rightly nothing came.
    """

    head: Alert
    blocks: tuple[Alert, ...] = ()
    places: tuple[str, ...] = ()
    missing: tuple[int, ...] = ()

    @property
    def documents(self) -> tuple[Alert, ...]:
        """Give every document, the blocks before their shell."""
        return (*self.blocks, self.head)

    @property
    def id(self) -> str:
        return str(self.head[UUID])

    @property
    def severity(self) -> str:
        return str(self.head[SEVERITY])

    @property
    def is_building_block(self) -> bool:
        """Say whether the rule only makes building blocks for others."""
        return BUILDING_BLOCK in self.head

    @property
    def risk_score(self) -> float:
        score: float = self.head[RISK_SCORE]
        return score

    @property
    def rule_name(self) -> str:
        return str(self.head["kibana.alert.rule.name"])


def group_of(match: RuleMatch, *, detected_ns: int | None = None) -> AlertGroup | None:
    """Build the alerts of a match (see `build_alerts`); `None` where the rule would alert on its own alerts."""
    alerts = build_alerts(match, detected_ns=detected_ns)
    if not alerts:
        return None
    missing = tuple(stage for stage, event in enumerate(match.events, start=1) if event is None)
    return AlertGroup(alerts[-1], tuple(alerts[:-1]), places(match.events), missing)


def grouped(alerts: Sequence[Alert]) -> AlertGroup:
    """Put the documents of one detection together again, in whatever order they come from a store."""
    blocks = sorted((alert for alert in alerts if GROUP_INDEX in alert), key=lambda alert: alert[GROUP_INDEX])
    heads = [alert for alert in alerts if GROUP_INDEX not in alert]
    if len(heads) != 1:
        raise ValueError(f"one detection has one alert that is no building block, not {len(heads)}")
    return AlertGroup(heads[0], tuple(blocks))


def places(events: Sequence[MatchedEvent | None]) -> tuple[str, ...]:
    """Give `file:line` of each event that has a file."""
    return tuple(f"{event.path}:{event.line}" if event.line else event.path for event in events if event and event.path)
