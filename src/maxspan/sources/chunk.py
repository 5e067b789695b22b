"""The one thing that every source hands over: lines of JSON, and where they stood."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Chunk:
    """Whole lines of JSON, one event a line, separated by `\\n`; the last line may lack its newline.

    `path` names the file (`<stdin>` for standard input) and `first_line` the number, from 1, of the first line in it.
    Blank lines count as lines and hold no event. `newlines` is how many there are, once a reader has met all.
    """

    data: bytes
    path: str = "<events>"
    first_line: int = 1
    newlines: int | None = field(default=None, compare=False, repr=False)
