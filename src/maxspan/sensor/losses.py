"""When events were lost, so that every alert can say whether its rule may have missed some."""

from __future__ import annotations

from collections import deque
from typing import Final

from maxspan.engine.match import RuleMatch
from maxspan.languages.plan import SequenceQuery

#: Periods that are remembered; the oldest two become one when there are more.
_PERIODS: Final = 4096


class Losses:
    """Periods between two looks at the counters in which something was lost. Times are nanoseconds since 1970."""

    def __init__(self, start_ns: int) -> None:
        self._looked_ns = start_ns
        self._periods: deque[tuple[int, int, int]] = deque()
        self.total = 0

    def look(self, now_ns: int, total: int) -> int:
        """Note the total of lost events at this moment; give how many are new."""
        new = max(0, total - self.total)
        if new:
            self._periods.append((self._looked_ns, now_ns, new))
            self.total = total
            if len(self._periods) > _PERIODS:
                first, second = self._periods.popleft(), self._periods.popleft()
                self._periods.appendleft((first[0], second[1], first[2] + second[2]))
        self._looked_ns = now_ns
        return new

    def between(self, first_ns: int, last_ns: int) -> int:
        """Count what was lost in periods that touch the given one."""
        lost = 0
        for begin, end, count in reversed(self._periods):
            if end < first_ns:
                break
            if begin <= last_ns:
                lost += count
        return lost

    def of(self, match: RuleMatch) -> int:
        """Count what was lost in the window of a match: its events, and the maxspan before the last of them."""
        window = window_of(match)
        return self.between(*window) if window is not None else 0


def window_of(match: RuleMatch) -> tuple[int, int] | None:
    """Give the first and the last moment that a match looks at; None where no event has a time."""
    times = [event.timestamp_ns for event in match.events if event is not None and event.timestamp_ns is not None]
    if not times:
        return None
    first, last = min(times), max(times)
    plan = match.rule.plan
    if isinstance(plan, SequenceQuery) and plan.maxspan_ns is not None:
        if any(event is None for event in match.events):
            last = max(last, first + plan.maxspan_ns)
        first = min(first, last - plan.maxspan_ns)
    return first, last
