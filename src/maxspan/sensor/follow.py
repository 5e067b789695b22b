"""Only the events of one process and everything that descends from it."""

from __future__ import annotations

import msgspec


class _Entity(msgspec.Struct):
    entity_id: str = ""


class _Process(msgspec.Struct):
    pid: int = 0
    entity_id: str = ""
    parent: _Entity = msgspec.field(default_factory=_Entity)


class _Line(msgspec.Struct):
    process: _Process = msgspec.field(default_factory=_Process)


class Follow:
    """Keeps the lines of a family of processes. `pid` is the first of the family, named by the first line about it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._family: set[str] = set()
        self._decode = msgspec.json.Decoder(_Line).decode
        self.left_out = 0

    def kept(self, lines: list[bytes]) -> list[bytes]:
        """Give the lines of the family, in their order; the others are counted."""
        out = [line for line in lines if self._belongs(self._decode(line).process)]
        self.left_out += len(lines) - len(out)
        return out

    def _belongs(self, process: _Process) -> bool:
        family = self._family
        if process.entity_id in family:
            return True
        first = not family and process.pid == self._pid
        if first or process.parent.entity_id in family:
            family.add(process.entity_id)
            return True
        return False
