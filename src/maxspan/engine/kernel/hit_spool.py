"""Hits in any number, given back rule by rule in the order of events: sorted pieces in a temporary file are merged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from heapq import merge
from operator import itemgetter
from typing import Any, Final, TypeAlias

import msgspec

from maxspan.engine.kernel.machine import Hit
from maxspan.engine.kernel.plain import exact, plain
from maxspan.engine.kernel.survivors import Kept, Segment, Survivor
from maxspan.engine.kernel.temporary import TemporaryBytes
from maxspan.engine.reference.event import Ordinal

#: so many hits are held in memory
IN_MEMORY: Final = 40_000
_READ: Final = 1 << 16
_LENGTH_BYTES: Final = 4

_Entry: TypeAlias = tuple[int, Ordinal, Any]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class HitSpool:
    """Takes hits of rules, by number, and gives them sorted by rule and event. Lines stay where they are kept.

    When the temporary file cannot be written, hits stay in memory, and `failure` says why.
    """

    def __init__(self, in_memory: int | None = None) -> None:
        self.failure = ""
        self._most = in_memory or IN_MEMORY
        self._held: list[_Entry] = []
        self._pieces: list[tuple[int, int]] = []
        self._file: TemporaryBytes | None = None
        self._segments: list[Segment] = []
        self._numbers: dict[int, int] = {}

    def add(self, rule: int, hit: Hit) -> None:
        """Take a hit."""
        self._held.append((rule, hit.ordinal, hit))
        if len(self._held) >= self._most and not self.failure:
            self._write()

    def sorted(self) -> Iterator[tuple[int, Hit]]:
        """Give all hits with their rules."""
        by_event = itemgetter(0, 1)
        self._held.sort(key=by_event)
        pieces = [self._read(begin, end) for begin, end in self._pieces]
        for rule, _, hit in merge(*pieces, self._held, key=by_event):
            yield rule, hit

    def _write(self) -> None:
        self._held.sort(key=itemgetter(0, 1))
        rows = bytearray()
        for rule, _, hit in self._held:
            row = _encode(self._row(rule, hit))
            rows += len(row).to_bytes(_LENGTH_BYTES)
            rows += row
        try:
            self._file = self._file or TemporaryBytes()
            begin = self._file.add(rows)
        except OSError as error:
            self.failure = error.strerror or str(error)
            return
        self._pieces.append((begin, begin + len(rows)))
        self._held = []

    def _read(self, begin: int, end: int) -> Iterator[_Entry]:
        assert self._file is not None
        data = b""
        while begin < end:
            block = self._file.read(begin, min(_READ, end - begin))
            begin += len(block)
            data += block
            at = 0
            while at + _LENGTH_BYTES <= len(data):
                size = int.from_bytes(data[at : at + _LENGTH_BYTES])
                if at + _LENGTH_BYTES + size > len(data):
                    break
                rule, hit = self._hit(_decode(data[at + _LENGTH_BYTES : at + _LENGTH_BYTES + size]))
                yield rule, hit.ordinal, hit
                at += _LENGTH_BYTES + size
            data = data[at:]

    def _row(self, rule: int, hit: Hit) -> list[Any]:
        one = hit.survivor
        kept: Any = one.kept
        if isinstance(kept, Kept):
            number = self._numbers.get(id(kept.segment))
            if number is None:
                number = self._numbers[id(kept.segment)] = len(self._segments)
                self._segments.append(kept.segment)
            kept = [number, kept.offset, kept.length]
        return [
            rule,
            plain(hit.ordinal),
            [kept, one.position, os.fsencode(one.path), one.line, one.index, one.id],
            [[stage, [plain(key) for key in keys]] for stage, keys in hit.positive],
            [[stage, [plain(key) for key in keys]] for stage, keys in hit.missing],
            [plain(key) for key in hit.until],
        ]

    def _hit(self, row: list[Any]) -> tuple[int, Hit]:
        rule, ordinal, survivor, positive, missing, until = row
        survivor[2] = os.fsdecode(survivor[2])
        kept = survivor[0]
        if isinstance(kept, list):
            survivor[0] = Kept(self._segments[kept[0]], kept[1], kept[2])
        return rule, Hit(
            exact(ordinal),
            Survivor(*survivor),
            [(stage, [exact(key) for key in keys]) for stage, keys in positive],
            [(stage, [exact(key) for key in keys]) for stage, keys in missing],
            [exact(key) for key in until],
        )
