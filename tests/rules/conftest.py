from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile everything; the tests of the cache switch it on for themselves."""
    monkeypatch.setenv("MAXSPAN_CACHE", "off")


@pytest.fixture(scope="session")
def corpus() -> Path:
    shared = os.environ.get("MAXSPAN_SHARED")
    if not shared:
        pytest.skip("MAXSPAN_SHARED names no folder with the rules of Elastic")
    return Path(shared) / "corpus"
