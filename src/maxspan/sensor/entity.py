"""Names of processes that survive exec and the reuse of pids."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import Final

#: Nanoseconds a tick of `/proc/PID/stat`, at the usual 100 ticks a second.
TICK_NS: Final = 10_000_000
_ID_BYTES: Final = 12


class EntityIds:
    """Entity ids of one boot of one machine: a hash of machine-id, boot id, pid and the start in ticks.

    The start is the thread group leader's, which an exec does not change. 16 characters, safe in URLs.
    """

    def __init__(self, machine_id: str, boot_id: str) -> None:
        self._base = blake2b(f"{machine_id}\n{boot_id}\n".encode(), digest_size=_ID_BYTES)

    def of(self, pid: int, ticks: int) -> bytes:
        digest = self._base.copy()
        digest.update(b"%d %d" % (pid, ticks))
        return urlsafe_b64encode(digest.digest())
