"""Which of the matches a query returns: `head`, `tail`, size and result position (section 7 of the semantics)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from maxspan.languages import plan

Item = TypeVar("Item")


def limit(
    items: Sequence[Item], pipes: Sequence[plan.Pipe], size: int | None = None, result_position: str | None = None
) -> list[Item]:
    """Apply a size and the pipes to matches in ascending order; the result is ascending too.

    Without pipes a size takes the last matches, or with `result_position="head"` the first. With pipes it is put
    under the first pipe, in that pipe's direction. `None` is no limit.
    """
    steps = list(pipes)
    if size is not None:
        steps.insert(0, plan.Pipe(pipes[0].name if pipes else "head" if result_position == "head" else "tail", size))
    kept = list(items)
    for step in steps:
        kept = kept[: step.count] if step.name == "head" else kept[max(0, len(kept) - step.count) :]
    return kept
