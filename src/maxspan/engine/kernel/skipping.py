"""Later stages are passed over while nothing waits for them: most events that fulfil one continue no sequence.

That is exact as long as events come in order. When an event that begins a sequence is not later than one that was
passed over, its rule is `unsure`: it has to be run again without this short cut.
"""

from __future__ import annotations

from maxspan.engine.kernel.compiled import CompiledRule
from maxspan.languages import plan

_EARLIEST = -(2**63)
_LATEST = 2**63


class Skipping:
    """Knows until when a sequence may go on, by rule and host, and what has been passed over."""

    def __init__(self) -> None:
        self.unsure: set[CompiledRule] = set()
        self._open_until: dict[tuple[int, str], int] = {}
        self._passed: dict[str, int] = {}

    def begin(self, rule: CompiledRule, host: str, time_ns: int) -> None:
        """Note an event that begins a sequence; `host` is empty for rules that join across hosts."""
        assert isinstance(rule.query, plan.SequenceQuery)
        if time_ns <= self._passed.get(host, _EARLIEST):
            self.unsure.add(rule)
        maxspan = rule.query.maxspan_ns
        end = _LATEST if maxspan is None else time_ns + maxspan
        key = rule.number, host
        if end > self._open_until.get(key, _EARLIEST):
            self._open_until[key] = end

    def is_open(self, rule: CompiledRule, host: str, time_ns: int) -> bool:
        """Whether some sequence of the rule may still go on; if not, the event counts as passed over."""
        if time_ns <= self._open_until.get((rule.number, host), _EARLIEST):
            return True
        if time_ns > self._passed.get(host, _EARLIEST):
            self._passed[host] = time_ns
        return False
