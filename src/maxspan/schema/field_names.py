"""Names of fields that events are known to have (`ecs.tsv`), to find misspelt ones in rules.

The list is no schema: events may have any other field. Only a name that is not in it and is very close to one that is,
is worth a question.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

#: Objects whose children everybody names for themselves.
_FREE: Final = ("labels", "winlog.event_data", "winlog.user_data", "container.labels", "orchestrator.resource.label")
#: Similarity from 0 to 1 (difflib); two swapped letters in a name of twelve are 0.92.
_CLOSE: Final = 0.9


@cache
def known_names() -> frozenset[str]:
    """Give every name of the list."""
    lines = Path(__file__).with_name("ecs.tsv").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


@cache
def _by_length() -> dict[int, list[str]]:
    out: dict[int, list[str]] = {}
    for name in sorted(known_names()):
        out.setdefault(len(name), []).append(name)
    return out


@cache
def _by_lower_case() -> dict[str, str]:
    return {name.lower(): name for name in sorted(known_names())}


@lru_cache(maxsize=4096)
def meant_by(name: str) -> str:
    """Give the known name that an unknown one was probably meant to be; empty for a known one, or if none is close."""
    if name in known_names() or name.startswith(tuple(f"{free}." for free in _FREE)) or len(name) > 128:
        return ""
    same = _by_lower_case().get(name.lower())
    if same:
        return same
    near = [known for size in range(len(name) - 2, len(name) + 3) for known in _by_length().get(size, ())]
    depth = name.count(".")
    close = get_close_matches(name, near, n=3, cutoff=_CLOSE)
    return next((known for known in close if known.count(".") == depth), close[0] if close else "")
