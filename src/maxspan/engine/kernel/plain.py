"""Values of keys and tiebreakers in a form that MessagePack keeps exactly."""

from __future__ import annotations

from typing import Any, Final

_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**64 - 1


def plain(value: Any) -> Any:
    """Give a scalar or tuple as MessagePack can hold it: tuples and large integers become marked lists."""
    if type(value) is int and not _SMALLEST <= value <= _LARGEST:
        return ["int", str(value)]
    if isinstance(value, tuple | list):
        return ["tuple", *map(plain, value)]
    return value


def exact(value: Any) -> Any:
    """Give the value again."""
    if isinstance(value, list):
        return int(value[1]) if value[0] == "int" else tuple(map(exact, value[1:]))
    return value
