"""Watched paths as the tree that the kernel side walks, and as a test for paths.

A watched path is absolute. A name that is "*" stands for any one name ("/home/*/.ssh"). A file stands for itself, a
folder for everything in it and below.
"""

from __future__ import annotations

from collections.abc import Iterable

from maxspan.errors import SensorError
from maxspan.sensor.layout import HAS_ANY, WATCH_KEY, WATCHED

# Longer names do not fit into a key (with the NUL); the kernel side treats them as "*", which lets more through.
NAME_BYTES = 27
ANY = b"*"

Parts = tuple[bytes, ...]


def parts_of(path: str) -> Parts:
    """Split a watched path into names. Raises SensorError for one that is relative, or the whole file system."""
    parts = tuple(part.encode() for part in path.split("/") if part and part != ".")
    if not path.startswith("/") or not parts or b".." in parts or "\0" in path:
        raise SensorError(f"cannot watch {path!r}: give an absolute path below '/' without '..'")
    if any(ANY in part and part != ANY for part in parts):
        raise SensorError(f"cannot watch {path!r}: '*' stands for a whole name only, as in '/home/*/.ssh'")
    return tuple(part if len(part) <= NAME_BYTES else ANY for part in parts)


class WatchList:
    """The paths to watch. Patterns that lie inside of others change nothing."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = tuple(paths)
        self._patterns = tuple(dict.fromkeys(parts_of(path) for path in self.paths))

    def matches(self, path: str) -> bool:
        """True when an absolute, normalised path is watched, or above a watched one (renaming that counts too)."""
        names = tuple(part.encode("utf-8", "surrogateescape") for part in path.split("/") if part)
        return any(
            all(wanted in (ANY, name) for wanted, name in zip(pattern, names, strict=False))
            for pattern in self._patterns
        )

    def entries(self) -> list[tuple[bytes, int]]:
        """Give the entries of the kernel's map: key (number of a node, name) and the next node or `WATCHED`.

        A key with a name leads to everything that "*" leads to as well: the kernel looks up the name first and "*" only
        where the name has no entry. The number of a node says whether there is a "*" to be looked up (`HAS_ANY`).
        """
        out: list[tuple[bytes, int]] = []
        numbers: dict[frozenset[Parts], int] = {}
        todo: list[frozenset[Parts]] = []

        def number_of(rest: frozenset[Parts]) -> int:
            if () in rest:
                return WATCHED
            if rest not in numbers:
                starred = numbers and any(parts[0] == ANY for parts in rest)  # the root is 0 and nothing else
                numbers[rest] = len(numbers) | (HAS_ANY if starred else 0)
                todo.append(rest)
            return numbers[rest]

        if self._patterns:
            number_of(frozenset(self._patterns))
        while todo:
            node = todo.pop()
            for name in sorted({parts[0] for parts in node}):
                rest = frozenset(parts[1:] for parts in node if parts[0] in (name, ANY))
                out.append((WATCH_KEY.struct.pack(numbers[node], name), number_of(rest)))
        return out
