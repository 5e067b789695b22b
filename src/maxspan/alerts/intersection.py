"""What all events of a sequence have in common: the body of the shell alert.

Source: section 11 of the semantics document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maxspan.alerts.fields import Document


def intersection(documents: Sequence[Mapping[str, Any]]) -> Document:
    """Give the deep intersection of nested documents; `{}` if they have nothing in common.

    Equal scalars are kept. Objects are intersected field by field and dropped when nothing is left. Lists become the
    set of shared scalars in the order of the first list, perhaps `[]`; a scalar beside a list counts as a list of one.
    Objects inside lists are never equal. Null equals null.
    """
    if not documents:
        return {}
    common: Document = dict(documents[0])
    for document in documents[1:]:
        common = _pair(common, document) or {}
    return common


def _pair(left: Mapping[str, Any], right: Mapping[str, Any]) -> Document | None:
    out: Document = {}
    for key, mine in left.items():
        if key not in right:
            continue
        theirs = right[key]
        if isinstance(mine, dict) and isinstance(theirs, dict):
            shared = _pair(mine, theirs)
            if shared is not None:
                out[key] = shared
        elif isinstance(mine, list) or isinstance(theirs, list):
            out[key] = _shared_items(mine, theirs)
        elif _same(mine, theirs):
            out[key] = mine
    return out or None


def _shared_items(mine: Any, theirs: Any) -> list[Any]:
    ours = mine if isinstance(mine, list) else [mine]
    others = {_identity(item) for item in (theirs if isinstance(theirs, list) else [theirs]) if _is_scalar(item)}
    shared = {_identity(item): item for item in ours if _is_scalar(item) and _identity(item) in others}
    return list(shared.values())


def _is_scalar(item: Any) -> bool:
    return not isinstance(item, dict | list)


def _same(mine: Any, theirs: Any) -> bool:
    return _is_scalar(mine) and _is_scalar(theirs) and _identity(mine) == _identity(theirs)


def _identity(item: Any) -> tuple[bool, Any]:
    return isinstance(item, bool), item  # true is not 1
