"""Times as events carry them, fast."""

from __future__ import annotations

from time import gmtime, strftime


class Timestamps:
    """Writes nanoseconds since 1970 as ISO 8601 in UTC, to the microsecond; remembers the last second."""

    def __init__(self) -> None:
        self._second = -1
        self._prefix = b""

    def iso(self, time_ns: int) -> bytes:
        second, rest = divmod(time_ns, 1_000_000_000)
        if second != self._second:
            self._prefix = strftime("%Y-%m-%dT%H:%M:%S", gmtime(second)).encode()
            self._second = second
        return b"%b.%06dZ" % (self._prefix, rest // 1000)
