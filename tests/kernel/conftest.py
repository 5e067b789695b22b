"""Every law and case holds at once, after the tree has settled in either way, and with room for next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

_TREE = "maxspan.engine.kernel.tree"
_KEYS = "maxspan.engine.kernel.open_keys"
_SETTLED: dict[str, Any] = {
    f"{_TREE}._SAMPLES": 2,
    f"{_TREE}._WATCHED": 2,
    f"{_KEYS}.PURGE_AT": 1,
    f"{_TREE}.MOST_BEGINNINGS": 2,
}
_WAYS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "settled by class": {**_SETTLED, f"{_TREE}._MANY": -1.0, f"{_TREE}._SHUT": 0.0},
    "settled by value": {**_SETTLED, f"{_TREE}._MANY": 2.0, f"{_TREE}._SHUT": 2.0, f"{_KEYS}.MOST_KEYS": 1},
}


@pytest.fixture(autouse=True, scope="module", params=list(_WAYS))
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a module in one of the ways that the kernel can go."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _WAYS[request.param].items():
            patch.setattr(name, value)
        yield
