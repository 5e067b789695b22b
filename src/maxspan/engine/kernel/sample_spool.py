"""Events of samples that wait for the end of a batch, in a temporary file: most samples never have all their stages."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from maxspan.engine.kernel.temporary import TemporaryBytes

if TYPE_CHECKING:
    from maxspan.engine.kernel.compiled import CompiledRule
    from maxspan.engine.kernel.native._scan import Parked

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[bytes, bytes, int, int, int]]).decode


class SampleSpool:
    """Takes events of rules and gives them back in the order in which they came.

    When the temporary file cannot be written, events stay in memory, and `failure` says why.
    """

    def __init__(self) -> None:
        self.failure = ""
        self._file: TemporaryBytes | None = None
        self._batches: dict[CompiledRule, list[tuple[int, int] | list[Parked]]] = {}

    def __contains__(self, rule: CompiledRule) -> bool:
        return rule in self._batches

    def add(self, rule: CompiledRule, events: list[Parked]) -> None:
        """Take events of a rule."""
        batches = self._batches.setdefault(rule, [])
        if not self.failure:
            data = _encode([(line, os.fsencode(path), *rest) for line, path, *rest in events])
            try:
                self._file = self._file or TemporaryBytes()
                batches.append((self._file.add(data), len(data)))
                return
            except OSError as error:
                self.failure = error.strerror or str(error)
        batches.append(events)

    def read(self, rule: CompiledRule) -> Iterator[Parked]:
        """Give the events of a rule. Raises OSError when the temporary file cannot be read."""
        for batch in self._batches.get(rule, ()):
            yield from batch if isinstance(batch, list) else self._read(*batch)

    def _read(self, begin: int, length: int) -> Iterable[Parked]:
        assert self._file is not None
        for line, path, number, position, roles in _decode(self._file.read(begin, length)):
            yield line, os.fsdecode(path), number, position, roles

    def forget(self, rule: CompiledRule) -> None:
        """Forget the events of a rule."""
        self._batches.pop(rule, None)
