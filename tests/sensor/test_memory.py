"""Freed memory goes back to the system."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import pytest

from maxspan.sensor import memory


def resident_kb() -> int:
    found = re.search(r"^RssAnon:\s+(\d+)", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    assert found
    return int(found[1])


def test_what_the_c_library_kept_is_given_back() -> None:
    library = ctypes.CDLL(None)
    if not hasattr(library, "malloc_trim"):
        pytest.skip("this C library cannot")
    library.malloc.restype = ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    blocks = [library.malloc(60_000) for _ in range(1000)]  # below the size that is mapped on its own
    for block in blocks:
        ctypes.memset(block, 1, 60_000)
    last = library.malloc(100_000)  # keeps the heap's end where it is
    for block in blocks:
        library.free(block)
    before = resident_kb()
    assert memory.give_back()
    assert resident_kb() < before - 30_000
    library.free(last)


def test_a_library_that_cannot_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not memory.give_back()
