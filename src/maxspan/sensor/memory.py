"""Memory that was freed goes back to the system: after loading, and after bursts."""

from __future__ import annotations

import ctypes


def give_back() -> bool:
    """Hand freed memory back, which the C library would keep for later; False where it cannot (musl).

    Takes some milliseconds."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return False
    trim(0)
    return True
