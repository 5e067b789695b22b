"""Alerts as JSON bytes: always valid, never harmful to a terminal that shows them."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import msgspec

from maxspan.alerts.printable import MOST_MARKS, is_mark, is_plain

_encoder: Final = msgspec.json.Encoder()
_sorting_encoder: Final = msgspec.json.Encoder(order="sorted")


def to_json(value: Any, *, sort: bool = False) -> bytes:
    """Encode `value` as compact UTF-8 JSON without a newline.

    Whole numbers of any size are kept; NaN and infinities, which JSON has not, become null; a lone surrogate becomes
    U+FFFD.
    """
    try:
        return (_sorting_encoder if sort else _encoder).encode(value)
    except (OverflowError, UnicodeEncodeError):
        text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), sort_keys=sort)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_safe_json(value: Any) -> bytes:
    """Encode like `to_json`, with characters that could fool a terminal (escapes, bidi, invisible) as `\\uXXXX`."""
    data = to_json(value)
    text = data.decode()
    if is_plain(text):
        return data
    out: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if is_mark(character) else 0
        safe = marks <= MOST_MARKS and is_plain(character)
        out.append(character if safe else _escaped(character))
    return "".join(out).encode()


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
