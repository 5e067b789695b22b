"""These tests are about the compiled part of the kernel alone: they run once, and not where it is missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from maxspan.engine.kernel import native


@pytest.fixture(autouse=True, scope="module")
def way() -> Iterator[None]:
    """Run a module once, in the way that the kernel goes by itself."""
    if native.scan is None:
        pytest.skip("the compiled part of the kernel is not there: it needs a C compiler at installation")
    yield
