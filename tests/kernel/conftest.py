"""Every law and case holds at once, after the tree has settled in either way, and with room for next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from maxspan.engine.kernel import native

_KERNEL = "maxspan.engine.kernel"
_TREE = f"{_KERNEL}.tree"
_KEYS = f"{_KERNEL}.open_keys"
_SETTLED: dict[str, Any] = {
    f"{_KERNEL}.order._SAMPLES": 2,
    f"{_TREE}._WATCHED": 2,
    f"{_KEYS}.PURGE_AT": 1,
    f"{_KERNEL}.in_order._MOST_BEGUN": 2,
    f"{_KERNEL}.parked.MOST_BYTES": 600,
    f"{_KERNEL}.parked.MOST_SAMPLED": 300,
    f"{_KERNEL}.parked.LOOK_AFTER": 1,
    f"{_TREE}.MOST_BEGINNINGS": 2,
}
_IN_PYTHON: dict[str, Any] = {f"{_KERNEL}.native.scan": None}
_WAYS: dict[str, dict[str, Any]] = {
    "as it is": _IN_PYTHON,
    "settled by class": {**_IN_PYTHON, **_SETTLED, f"{_TREE}._MANY": -1.0, f"{_TREE}._SHUT": 0.0},
    "settled by value": {
        **_IN_PYTHON,
        **_SETTLED,
        f"{_TREE}._MANY": 2.0,
        f"{_TREE}._SHUT": 2.0,
        f"{_KEYS}.MOST_KEYS": 1,
    },
    "scanned": {},
    "scanned, settled": {**_SETTLED, f"{_KERNEL}.native.scanning.MOST_BEGINNINGS": 2, f"{_KEYS}.MOST_KEYS": 1},
}


@pytest.fixture(autouse=True, scope="module", params=list(_WAYS))
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a module in one of the ways that the kernel can go."""
    if request.param.startswith("scanned") and native.scan is None:
        pytest.skip("the compiled part of the kernel is not there: it needs a C compiler at installation")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _WAYS[request.param].items():
            patch.setattr(name, value)
        yield
