"""Which worker reads what: each gets parts that follow each other, as many as possible, for each border costs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from maxspan.engine.jobs.parts import FED_BYTES, Part

#: a run of chunks that are read here is short, since the runs before it have to be read first
_FED_RUN: Final = 8 * FED_BYTES
#: what is larger goes in several rounds of equal runs
_LARGEST_RUN: Final = 2 << 30
#: of fewer parts, half is not worth the border that it costs
_WORTH_HALF: Final = 6


@dataclass(eq=False)
class Plan:
    """The parts of one run that nobody has been asked to read yet; `number` is that of its first part."""

    number: int
    first: Part
    parts: deque[tuple[int, Part]] = field(default_factory=deque)

    @property
    def weight(self) -> int:
        return sum(part.weight for _, part in self.parts)


class Planning:
    """Cuts the input into runs as workers ask for them; at the end those who are idle take from the others.

    Once it `is_over`, no part is left that nobody has been given.
    """

    def __init__(self, parts: Iterable[Part], *, total_bytes: int, jobs: int) -> None:
        self._parts = enumerate(parts)
        rounds = max(1, -(-total_bytes // (jobs * _LARGEST_RUN)))
        self._run_bytes = max(1, -(-total_bytes // (jobs * rounds)))
        self._plans: list[Plan] = []
        self.is_over = False

    def next_run(self) -> Plan | None:
        """Give parts for one who has nothing to do; None if there is nothing left to share."""
        taken: deque[tuple[int, Part]] = deque()
        weight = 0
        for number, part in self._parts:
            taken.append((number, part))
            weight += part.weight
            if weight >= (min(self._run_bytes, _FED_RUN) if part.kind == "chunks" else self._run_bytes):
                break
        else:
            self.is_over = True
        if not taken:
            taken = self._half_of_the_largest()
        if not taken:
            return None
        plan = Plan(taken[0][0], taken[0][1], taken)
        self._plans = [one for one in self._plans if one.parts]
        self._plans.append(plan)
        return plan

    def _half_of_the_largest(self) -> deque[tuple[int, Part]]:
        taken: deque[tuple[int, Part]] = deque()
        largest = max(self._plans, key=lambda plan: plan.weight, default=None)
        if largest is not None and len(largest.parts) >= _WORTH_HALF:
            for _ in range(len(largest.parts) // 2):
                taken.appendleft(largest.parts.pop())
        return taken
