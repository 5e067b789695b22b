"""One event: from a line of JSON to named lists of values.

A field is named by its path, whatever mixture of nested objects and dotted keys wrote it; its value is a list of
scalars in the order of the document. Missing, null, `[]` and `[null]` are one and the same: the name does not occur.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

Scalar = str | int | float | bool

#: The keys that Elasticsearch puts beside `fields` in a hit. An event of its own may well have an object `fields`
#: (Filebeat's custom fields), but then it also has other keys.
_HIT_KEYS: Final = frozenset({"fields", "sort", "highlight", "matched_queries", "inner_hits", "ignored_field_values"})

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """An event without its Elasticsearch wrapper; `index` and `id` are empty where the wrapper has none."""

    source: dict[str, Any]
    index: str = ""
    id: str = ""


def flatten(document: Mapping[str, Any], wanted: Container[str] | None = None) -> dict[str, list[Any]]:
    """Give every field of an event by its dotted name, as a list of non-null scalars in the document's order.

    `{"a": {"b": 1}}`, `{"a.b": 1}` and `{"a": [{"b": [1]}]}` are the same; where several of these stand in one
    document the lists are joined in order. Arrays of objects are merged field by field, arrays in arrays are opened.
    Names whose values are all null or empty do not occur. Nesting may be as deep as the decoder allows.

    `wanted`, the names that are asked for and all their beginnings (`a`, `a.b`, `a.b.c`), leaves out the others.
    Without it the result may be far larger than the document: a long key is written out for each of its inner ones.

    Source: Elasticsearch, object fields and `"subobjects"`; see section 9.2 of the EQL semantics for lists.
    """
    fields: dict[str, list[Any]] = {}
    pending: list[tuple[str, Any]] = list(document.items())[::-1]
    while pending:
        name, value = pending.pop()
        if wanted is not None and name not in wanted:
            continue
        if isinstance(value, dict):
            pending.extend([(f"{name}.{key}", inner) for key, inner in reversed(value.items())])
        elif isinstance(value, (list, tuple)):
            pending.extend([(name, inner) for inner in reversed(value)])
        elif value is not None:
            fields.setdefault(name, []).append(value)
    return fields


def unwrap(document: dict[str, Any]) -> Unwrapped:
    """Take an event out of an Elasticsearch hit; any other document is given back as it is.

    A hit has an object `_source`; or (asked for with `"_source": false`) an object `fields` and beside it nothing but
    `_index`, `_id` and the like. Where both are there, `_source` is the event, unless it is empty.
    """
    source = document.get("_source")
    fields = document.get("fields")
    if not (isinstance(source, dict) and (source or not isinstance(fields, dict))):
        if not isinstance(fields, dict) or not _is_hit(document):
            return Unwrapped(document)
        source = fields
    return Unwrapped(source, _text(document.get("_index")), _text(document.get("_id")))


def _is_hit(document: dict[str, Any]) -> bool:
    return ("_index" in document or "_id" in document) and all(
        key.startswith("_") or key in _HIT_KEYS for key in document
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def decode_line(line: bytes) -> dict[str, Any]:
    """Decode one line of JSON into a document.

    What strict JSON refuses but still says what was meant is read all the same, since the writer of an event may be
    the attacker, who must not become invisible by an odd file name: bytes that are not UTF-8 and lone surrogates
    become U+FFFD, control characters inside strings stay, `NaN`, `Infinity` and numbers too large for a double are
    null, a byte order mark at the front is skipped. Of two equal keys in one object the last counts.

    Raises `ValueError`, with what is wrong, for everything else: broken JSON, nesting too deep, a value that is no
    object.
    """
    try:
        document = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        document = _decode_tolerantly(line)
    if type(document) is not dict:
        raise ValueError(f"not a JSON object but {_KINDS.get(type(document), 'null')}")
    return document


_KINDS: Final = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "a boolean"}


def _decode_tolerantly(line: bytes) -> Any:
    text = line.decode("utf-8", "replace").removeprefix("\ufeff").strip(" \t\r\n")
    try:
        return _TOLERANT.decode(_ESCAPE.sub(_whole_escape, text) if "\\u" in text else text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


#: One escape, surrogate pairs as one. It takes every backslash together with what follows, so that an escaped
#: backslash before `ud800` is left alone.
_ESCAPE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\."
)


def _whole_escape(match: re.Match[str]) -> str:
    """Put U+FFFD for the escape of a surrogate that stands alone."""
    escape = match.group()
    return "\\ufffd" if len(escape) == 6 else escape


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _integer(text: str) -> int | None:
    """Integers of more than 308 digits are larger than every double and are treated as those."""
    return int(text) if len(text) <= 309 else None


_TOLERANT: Final = json.JSONDecoder(
    strict=False, parse_float=_finite, parse_int=_integer, parse_constant=lambda _name: None
)
