"""Events that fulfil something, as the rest of the kernel sees them: their fields, wherever they were decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from maxspan.engine.kernel.decoding import FieldDecoder, Getter
from maxspan.sources.timestamps import parse_timestamp_ns


class DecodedFields:
    """The fields of a typed event by name, as lists of values; only fields that the rules read are there."""

    __slots__ = ("_decoder", "_event", "_getters")

    def __init__(self, event: Any, decoder: FieldDecoder, getters: dict[str, Getter]) -> None:
        self._event = event
        self._decoder = decoder
        self._getters = getters

    def get(self, name: str, default: Sequence[Any] = ()) -> Sequence[Any]:
        getter = self._getters.get(name)
        if getter is None:
            getter = self._getters[name] = self._decoder.getter(name)
        value = getter(self._event)
        if value is None:
            return default
        return [item for item in value if item is not None] if type(value) is tuple else (value,)


@dataclass
class Candidate:
    """An event that fulfils pieces of rules: the mask, its fields, and where it stood."""

    mask: int
    fields: Any
    line: bytes
    position: int
    path: str
    number: int
    index: str = ""
    id: str = ""
    raw: bytes = b""
    _times: dict[str, int | None] = field(default_factory=dict)

    def time_ns(self, name: str) -> int | None:
        """Give the time of the event: the earliest value of a field that is one."""
        known = self._times.get(name, 0)
        if known == 0:
            times = [parse_timestamp_ns(value) for value in self.fields.get(name, ())]
            known = self._times[name] = min((time for time in times if time is not None), default=None)
        return known

    @cached_property
    def host(self) -> str:
        """Give the id of the host, of several the smallest, or ""."""
        return min((value for value in self.fields.get("host.id", ()) if isinstance(value, str)), default="")


def numbered_lines(data: bytes, first: int) -> Iterator[tuple[int, bytes]]:
    """Give the lines of a chunk that hold something, with their numbers."""
    for number, line in enumerate(data.split(b"\n"), first):
        if line and not line.isspace():
            yield number, line
