"""What every place that alerts go to looks like."""

from __future__ import annotations

from typing import Protocol

from maxspan.alerts.group import AlertGroup


class Sink(Protocol):
    """Takes the alerts of one detection at a time. `close` writes what is still owed (a closing bracket, a table).

    Both raise `SinkError` where something could not be written.
    """

    def write(self, group: AlertGroup) -> None: ...

    def close(self) -> None: ...
