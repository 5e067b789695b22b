"""What `watch` and `record` share: signals, the backend with its messages, and the end."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final

from maxspan.sensor.choose import Choice, open_backend
from maxspan.sensor.memory import give_back
from maxspan.sensor.watched_paths import DEFAULT_WATCHED

if TYPE_CHECKING:
    from maxspan.sensor.collector import Collector
    from maxspan.sensor.screen import Screen

CANNOT_WATCH: Final = 2
LOST: Final = 3
NOT_WRITTEN: Final = 4
PIPE_CLOSED: Final = 141

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Becomes true with the first Ctrl-C, SIGTERM or SIGHUP; the second one ends everything at once."""

    def __init__(self) -> None:
        self._asked = False

    def __call__(self) -> bool:
        return self._asked

    def ask(self) -> None:
        self._asked = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Hear the signals as long as the block runs; a hangup that is ignored (nohup) stays ignored."""
        heard = [number for number in _SIGNALS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
        before = [(number, signal.signal(number, self._handle)) for number in heard]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)


@contextmanager
def open_collector(
    choice: Choice, watch_paths: Sequence[str], environment: Sequence[str], screen: Screen, *, hashes: bool = True
) -> Iterator[Collector]:
    """Start the backend and put a collector on it; both end with the block. Raises SensorError."""
    from maxspan.sensor.collector import Collector
    from maxspan.sensor.watchlist import WatchList

    began_ns = time.time_ns()
    paths = (*DEFAULT_WATCHED, *watch_paths)
    matches = WatchList(paths).matches
    backend = open_backend(choice, watched=paths, environment=environment, hurry=hashes, tell=screen.note)
    try:
        collector = Collector(backend, watched=matches, hashes=hashes, began_ns=began_ns)
    except BaseException:
        backend.close()
        raise
    _calm_the_garbage_collector()
    try:
        yield collector
    finally:
        collector.close()


def _calm_the_garbage_collector() -> None:
    """Leave out what is there for good (rules, modules), and look less often: processes leave no cycles behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    give_back()
