"""What is known of a host: until when something is open there, and what has been passed over."""

from __future__ import annotations

from maxspan.engine.kernel.native.scanning import Scanning
from maxspan.engine.kernel.open_keys import EARLIEST, LATEST


class Open:
    """What is known of one host: until when something is open, and the latest event that was passed over.

    `passed_ns` is its time, and `passed` what of it. In a run that others come before, `since_ns` is the time of the
    first such event as it came, `first_ns` that of the earliest, and `first` what of it.
    """

    def __init__(self) -> None:
        self.until_ns = EARLIEST
        self.passed_ns = EARLIEST
        self.passed = 0
        self.since_ns = EARLIEST
        self.first_ns = LATEST
        self.first = 0

    def pass_over(self, now_ns: int, shut: int) -> None:
        """Note what of an event was passed over."""
        passed_ns = self.passed_ns
        if now_ns > passed_ns:
            self.passed_ns, self.passed = now_ns, shut
        elif now_ns == passed_ns:
            self.passed |= shut

    def opened(self, until_ns: int) -> None:
        """Note until when a stage is open."""
        if until_ns > self.until_ns:
            self.until_ns = until_ns


class ScannedOpen(Open):
    """The same, kept by the compiled scanner, which passes over events by itself."""

    def __init__(self, scanning: Scanning, host: str) -> None:
        self._scanning = scanning
        self.lane = scanning.lane(host)

    @property
    def until_ns(self) -> int:
        return self.lane.until_ns

    @until_ns.setter
    def until_ns(self, time_ns: int) -> None:
        self.lane.until_ns = time_ns

    @property
    def passed_ns(self) -> int:
        return self.lane.passed_ns

    @passed_ns.setter
    def passed_ns(self, time_ns: int) -> None:
        self.lane.passed_ns = time_ns

    @property
    def passed(self) -> int:
        return int.from_bytes(self.lane.passed, "little")

    @passed.setter
    def passed(self, mask: int) -> None:
        self.lane.passed = self._scanning.bytes(mask)

    @property
    def since_ns(self) -> int:
        return self.lane.since_ns

    @since_ns.setter
    def since_ns(self, time_ns: int) -> None:
        self.lane.since_ns = time_ns

    @property
    def first_ns(self) -> int:
        return self.lane.first_ns

    @first_ns.setter
    def first_ns(self, time_ns: int) -> None:
        self.lane.first_ns = time_ns

    @property
    def first(self) -> int:
        return int.from_bytes(self.lane.first, "little")

    @first.setter
    def first(self, mask: int) -> None:
        self.lane.first = self._scanning.bytes(mask)
