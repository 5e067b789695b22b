"""Which events a rule's `index` patterns mean, where there is no index to look into.

An event may say where Elasticsearch would keep it: in `data_stream.type|dataset|namespace`, in the `_index` of an
export, or, weaker, in `event.dataset`. What it says becomes one or more names (`told_by`), in which `*` stands for a
part that was not said. A rule applies when one of its patterns fits one of the names; where an event says nothing, or a
pattern cannot be decided, the rule applies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

Told: TypeAlias = tuple[str, ...]

#: The types of data streams that exist. Source: Elastic's data stream naming scheme (type-dataset-namespace).
TYPES: Final = ("logs", "metrics", "traces", "synthetics", "profiling")

#: A backing index `.ds-logs-x-default-2024.05.01-000001`, also restored from a snapshot or mounted from one.
_BACKING = re.compile(r"(?:restored-|partial-)?\.ds-(?P<stream>.+)-\d{4}\.\d{2}\.\d{2}-\d{6,}")
#: Elasticsearch allows 255 bytes for a name; longer patterns are left undecided.
_LONGEST: Final = 1024
#: Marks a name that is known from `event.dataset` alone: patterns of other than data streams stay undecided.
_BY_DATASET: Final = "\0"


def told_by(fields: Mapping[str, Sequence[object]], index: str = "") -> Told:
    """Tell the names of the places where an event says it is kept; empty where it says nothing.

    `fields` maps dotted names to lists of values; `index` is the `_index` of the document around the event. Values
    other than non-empty strings say nothing; of a list, the first value counts.
    """
    kind, dataset, namespace = (_first(fields, f"data_stream.{part}") for part in ("type", "dataset", "namespace"))
    names = _names(kind, dataset, namespace) if kind or dataset or namespace else []
    index = index or _first(fields, "_index")
    if index:
        local = index.rpartition(":")[2]
        backing = _BACKING.fullmatch(local)
        names.append(backing["stream"] if backing else local)
    if not names and (by_event := _first(fields, "event.dataset")):
        names = [_BY_DATASET + name for name in _names("", by_event, "")]
    return tuple(names)


def _names(kind: str, dataset: str, namespace: str) -> list[str]:
    """Give the names that a data stream can have; an unknown type is each of those that exist."""
    return [f"{one}-{dataset or '*'}-{namespace or '*'}" for one in ((kind,) if kind else TYPES)]


def _first(fields: Mapping[str, Sequence[object]], name: str) -> str:
    values = fields.get(name) or ()
    value = values if isinstance(values, str) else values[0] if values else ""
    return value.replace("*", "?")[:512] if isinstance(value, str) else ""


class IndexPatterns:
    """The `index` of one rule, ready to be asked about events; no patterns mean every event.

    Understood are `*`, lists with commas, `-excluded` and `cluster:pattern` (the cluster is ignored). Date math
    (`<logs-{now/d}>`) and absurdly long patterns cannot be decided and let every event through.
    """

    __slots__ = ("_cache", "_excluded", "_included", "patterns")

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(patterns)
        every = [part.strip() for pattern in self.patterns for part in pattern.split(",") if part.strip()]
        self._included = tuple(_local(part) for part in every if not part.startswith("-"))
        self._excluded = tuple(_local(part[1:]) for part in every if part.startswith("-"))
        self._cache: dict[Told, bool] = {}

    def __repr__(self) -> str:
        return f"IndexPatterns({list(self.patterns)!r})"

    def apply_to(self, told: Told) -> bool:
        """Decide whether the rule applies to an event that says `told` (see `told_by`)."""
        if not told or not self.patterns:
            return True
        known = self._cache.get(told)
        if known is None:
            known = any(self._fits(name) for name in told)
            if len(self._cache) < 4096:
                self._cache[told] = known
        return known

    def _fits(self, name: str) -> bool:
        by_dataset = name.startswith(_BY_DATASET)
        plain = name.removeprefix(_BY_DATASET)
        if any(_certainly(pattern, plain) for pattern in self._excluded):
            return False
        if not self._included:
            return True
        return any(
            _possibly(pattern, plain) or (by_dataset and not _of_data_streams(pattern)) for pattern in self._included
        )


def _local(pattern: str) -> str:
    undecided = pattern.startswith("<") or len(pattern) > _LONGEST
    return "*" if undecided else pattern.rpartition(":")[2]


def _of_data_streams(pattern: str) -> bool:
    return pattern.startswith(tuple(f"{kind}-" for kind in TYPES))


def _certainly(pattern: str, name: str) -> bool:
    """Tell whether `pattern` matches whatever the `*` in `name` stand for."""
    return _possibly(pattern, name.replace("*", "\1"))


@lru_cache(maxsize=65536)
def _possibly(left: str, right: str) -> bool:
    """Tell whether some text matches both of two texts in which `*` stands for anything.

    `row[j]` says whether the part of `left` seen so far and the first `j` characters of `right` have a text in common.
    """
    row = [True]
    for character in right:
        row.append(row[-1] and character == "*")
    for mine in left:
        before, row = row, [row[0] and mine == "*"]
        for at, theirs in enumerate(right):
            if mine == "*" or theirs == "*":
                row.append(before[at + 1] or row[at])
            else:
                row.append(mine == theirs and before[at])
    return row[-1]
