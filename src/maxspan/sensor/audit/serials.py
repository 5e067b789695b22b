"""Events that audit made and that never came: holes in their serial numbers.

A serial is drawn when the first message of an event is written (audit_log_start in kernel/audit.c, behind the filters),
one counter for the whole host. Measured on 6.18: events of other rules come to us too and fill their numbers, and what
a filter leaves out (exit rules that say never, the exclude filter) draws none. So a number that does not come is an
event that was lost on the way. It says nothing about events that were lost before they drew a number: those are in the
kernel's own count of lost messages.
"""

from __future__ import annotations

from collections import deque
from typing import Final

#: A message is queued when it is complete: one that was begun earlier may come this much later.
PATIENCE_S: Final = 1.0
_HALF: Final = 1 << 31
_MASK: Final = (1 << 32) - 1


class Serials:
    """Counts serials that are missing. Tell it each one that comes (`take`), in any order, and the time (`settle`).

    The first one that is told is where counting begins. `lost` counts those that did not come within `PATIENCE_S`
    after a later one; `late` those of them that came after all (they stay in `lost`).
    """

    def __init__(self) -> None:
        self.lost = 0
        self.late = 0
        self._highest = -1
        #: Holes: first and last missing serial, and when the hole was seen.
        self._holes: deque[tuple[int, int, float]] = deque()
        self._given_up: deque[tuple[int, int]] = deque(maxlen=64)

    def take(self, serial: int, now: float) -> None:
        """Take a serial in; those of a whole event are the same. `now` is of a clock that never goes back."""
        ahead = (serial - self._highest) & _MASK  # the counter has 32 bits and begins anew
        if self._highest < 0:
            self._highest = serial
        elif 0 < ahead < _HALF:
            if ahead > 1:
                self._holes.append((self._highest + 1, self._highest + ahead - 1, now))
            self._highest = serial
        elif ahead and (self._holes or self._given_up):
            self._fill(serial)

    def settle(self, now: float) -> None:
        """Give up what has been missing for too long."""
        while self._holes and self._holes[0][2] <= now - PATIENCE_S:
            first, last, _ = self._holes.popleft()
            self.lost += last - first + 1
            self._given_up.append((first, last))

    def _fill(self, serial: int) -> None:
        for place, (first, last, seen) in enumerate(self._holes):
            if (serial - first) & _MASK <= last - first:
                at = first + ((serial - first) & _MASK)
                del self._holes[place]
                for rest in ((at + 1, last, seen), (first, at - 1, seen)):
                    if rest[0] <= rest[1]:
                        self._holes.insert(place, rest)
                return
        for place, (first, last) in enumerate(self._given_up):
            if (serial - first) & _MASK <= last - first:
                at = first + ((serial - first) & _MASK)
                del self._given_up[place]
                self._given_up.extend(part for part in ((first, at - 1), (at + 1, last)) if part[0] <= part[1])
                self.late += 1
                return
