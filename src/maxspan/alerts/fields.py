"""Reading and shaping event documents: one nested form, whatever the source wrote.

`{"process.name": "sh"}` and `{"process": {"name": "sh"}}` mean the same event. An alert carries the nested form, so
that alerts can be compared and intersected key by key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from maxspan.sources.document import flatten

Document: TypeAlias = dict[str, Any]
#: An event by dotted names, as `maxspan.sources.document.flatten` gives it: each a list of scalars, never empty.
Fields: TypeAlias = Mapping[str, list[Any]]

#: How deep a nested document may be. Only hostile events are deeper (Elasticsearch itself refuses more than 20 levels).
MAX_DEPTH: Final = 64


def nested(document: Document) -> Document:
    """Give `document` with dotted keys written as nested objects; where there are none, the document itself.

    Where a dotted key cannot be nested because a plain value is in its way, it stays as it is. Lists are kept; a field
    that is written twice (`a.b` and `a: {b: ...}`) has the values of both. What comes back is never deeper than
    `MAX_DEPTH` and a little: a document that is, is opened down to its scalars, and names of more than `MAX_DEPTH`
    parts stay dotted.
    """
    dotted = False
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if type(value) is dict:
                dotted = dotted or "." in "".join(value)
                value = value.values()
            below += [item for item in value if type(item) is dict or type(item) is list]
        if not below:
            return _nested(document, 0) if dotted else document
        level = below
    return _nested(flatten(document), 0)


def _nested(document: Mapping[str, Any], depth: int) -> Document:
    out: Document = {}
    for key, value in document.items():
        shaped = _shaped(value, depth + 1)
        path = key.split(".")
        if len(path) > 1 and all(path) and depth + len(path) < MAX_DEPTH:
            _place(out, path, key, shaped)
        else:
            _put(out, key, shaped)
    return out


def _shaped(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        return _nested(value, depth)
    if isinstance(value, list):
        return [_shaped(item, depth + 1) for item in value]
    return value


def _place(out: Document, path: list[str], key: str, value: Any) -> None:
    inner = out
    for step in path[:-1]:
        below = inner.setdefault(step, {})
        if not isinstance(below, dict):
            _put(out, key, value)
            return
        inner = below
    _put(inner, path[-1], value)


def _put(out: Document, key: str, value: Any) -> None:
    """Set a field; where it is there already both values stay: objects are merged, others become one list."""
    if key not in out:
        out[key] = value
        return
    present = out[key]
    if isinstance(present, dict) and isinstance(value, dict):
        for inner_key, inner_value in value.items():
            _put(present, inner_key, inner_value)
    elif isinstance(present, dict):  # `a.b` came before a plain `a`
        out[key] = value
        for inner_key, inner_value in present.items():
            _put(out, f"{key}.{inner_key}", inner_value)
    elif isinstance(value, dict):
        for inner_key, inner_value in value.items():
            _put(out, f"{key}.{inner_key}", inner_value)
    elif present is None or value is None:
        out[key] = value if present is None else present
    else:
        out[key] = [*_listed(present), *_listed(value)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def first(fields: Fields, *names: str) -> str:
    """Give the first value of the first of `names` that has one, as text; empty if none has."""
    for name in names:
        for value in fields.get(name, ()):
            text = as_text(value)
            if text:
                return text
    return ""


def as_text(value: object) -> str:
    """Write a value as JSON would, strings without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def leaves(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Go through the fields of a nested document: dotted name and value (a scalar or a list)."""
    for key, value in document.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        elif value is not None:
            yield prefix + key, value
