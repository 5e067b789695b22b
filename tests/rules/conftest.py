from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def no_cache() -> Iterator[None]:
    """Compile everything; the tests of the cache switch it on for themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAXSPAN_CACHE", "off")
        yield


@pytest.fixture(scope="session")
def corpus() -> Path:
    shared = os.environ.get("MAXSPAN_SHARED")
    if not shared:
        pytest.skip("MAXSPAN_SHARED names no folder with the rules of Elastic")
    return Path(shared) / "corpus"
