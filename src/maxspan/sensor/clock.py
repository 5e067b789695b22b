"""From the boot clock, which the kernel's records use, to nanoseconds since the epoch."""

from __future__ import annotations

import time
from typing import Final

# Less than this is the wall clock being adjusted slowly, more is somebody setting it.
STEP_NS: Final = 5_000_000
# A reading that took longer was interrupted half-way and says nothing.
READING_NS: Final = 100_000
ATTEMPTS: Final = 5


def measure_offset_ns() -> int:
    """Give wall clock minus boot clock in nanoseconds: the best of a few readings."""
    best = 0
    shortest = -1
    for _ in range(ATTEMPTS):
        before = time.clock_gettime_ns(time.CLOCK_REALTIME)
        boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        after = time.clock_gettime_ns(time.CLOCK_REALTIME)
        took = after - before
        if shortest < 0 or 0 <= took < shortest:
            shortest, best = took, (before + after) // 2 - boot
        if 0 <= shortest < READING_NS:
            break
    return best


class BootClock:
    """The offset, held still (so that times of one source can be compared) until the wall clock is set."""

    def __init__(self) -> None:
        self.offset_ns = measure_offset_ns()

    def renew(self) -> bool:
        """Measure again; take the new offset and return True when the wall clock was set meanwhile."""
        new = measure_offset_ns()
        if abs(new - self.offset_ns) < STEP_NS:
            return False
        self.offset_ns = new
        return True
