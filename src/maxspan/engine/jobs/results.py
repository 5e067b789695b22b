"""What has come of the parts of a run, until it is its turn: in memory up to a bound, in temporary files above it."""

from __future__ import annotations

import pickle
from collections import deque

from maxspan.engine.jobs.run import PartResult
from maxspan.engine.kernel.survivors import Kept, LineStore


class Results:
    """Takes results and gives them back in their order. Those with events wait in `store` if they have to wait."""

    def __init__(self, store: LineStore) -> None:
        self._store = store
        self._results: deque[PartResult | Kept] = deque()

    def add(self, result: PartResult, *, waits: bool) -> None:
        """Take a result that is wanted at once, or only when other runs are over."""
        holds = result.chunks or result.hits or result.limited or result.samples
        self._results.append(self._store.keep(pickle.dumps(result)) if waits and holds else result)

    def __bool__(self) -> bool:
        return bool(self._results)

    def next(self) -> PartResult:
        """Give the first result. Raises OSError when the temporary file cannot be read."""
        first = self._results.popleft()
        if isinstance(first, PartResult):
            return first
        result: PartResult = pickle.loads(self._store.read(first))
        return result
