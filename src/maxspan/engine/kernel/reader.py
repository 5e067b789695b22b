"""Chunks become candidates: the events that fulfil a piece of some rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from maxspan.engine.detector import Counters
from maxspan.engine.kernel.compiled import CompiledRules
from maxspan.engine.kernel.decoding import Getter, is_dotted
from maxspan.engine.kernel.events import Candidate, DecodedFields, numbered_lines
from maxspan.engine.kernel.native.scanning import Scanning
from maxspan.engine.kernel.skipping import Skipping
from maxspan.errors import Problem
from maxspan.sources.chunk import Chunk
from maxspan.sources.document import decode_line, flatten, unwrap

if TYPE_CHECKING:
    from maxspan.engine.kernel.native._scan import Parked

_encode = msgspec.json.Encoder().encode
#: after so many chunks the tree is looked after
_LOOK_AFTER: Final = 256


def make_reader(
    rules: CompiledRules, counters: Counters, skipping: Skipping | None = None, *, waits: bool = False
) -> Reader:
    """Make what reads chunks: by the compiled part of maxspan where it is there, else by typed structures.

    Of a stream, whose events wait for their turn (`waits`), nothing is passed over when it is read.
    """
    if rules.scanning is not None:
        return ScanReader(rules, rules.scanning, counters, None if waits else skipping, waiting=skipping)
    return StructReader(rules, counters, None if waits else skipping)


class Reader(ABC):
    """Reads chunks and asks the rules; counts events and what cannot be read.

    Of a chunk that is not what most are, each line is looked at on its own, and read the general way if need be.
    """

    def __init__(self, rules: CompiledRules, counters: Counters, skipping: Skipping | None = None) -> None:
        self._rules = rules
        self._skipping = skipping
        self._counters = counters
        self._getters: dict[str | int, Getter] = {}
        self._chunks = 0

    def read(self, chunk: Chunk) -> Iterator[Candidate]:
        """Give the candidates of a chunk, in the order of its lines; take each before asking for the next."""
        self._counters.bytes += len(chunk.data)
        self._chunks += 1
        if self._chunks % _LOOK_AFTER == 0:
            self._rules.tree.between_events()
        return self._candidates(chunk)

    def end(self) -> None:
        """Let go of what is passed over: no chunk comes any more, only events that have been read before."""
        self._skipping = None

    @abstractmethod
    def _candidates(self, chunk: Chunk) -> Iterator[Candidate]: ...

    def fields(self, event: bytes) -> Any:
        """Give the fields of an event that has been read before, without what it may have been wrapped in."""
        return flatten(decode_line(event), self._rules.decoder.wanted)

    def _general(self, chunk: Chunk, number: int, line: bytes) -> Candidate | None:
        """Read a line whatever it is; None for one that fulfils nothing, or cannot be read."""
        position = self._counters.events
        try:
            document = decode_line(line)
            hit = unwrap(document)
        except ValueError as error:
            self._counters.unreadable += 1
            self._counters.note(Problem("unreadable-line", str(error), path=chunk.path, line=number))
            return None
        self._counters.events += 1
        fields = flatten(hit.source, self._rules.decoder.wanted)
        mask = self._rules.tree.mask_of_fields(fields, hit.index)
        if mask and self._skipping is not None:
            mask = self._skipping.narrow_fields(mask, fields)
        if not mask:
            return None
        raw = line.strip() if hit.source is document else _encode(hit.source)
        return Candidate(mask, fields, position, chunk.path, number, hit.index, hit.id, raw)


class ScanReader(Reader):
    """Reads lines where they stand; what is not plain JSON, or plainly an event, goes the general way."""

    def __init__(
        self,
        rules: CompiledRules,
        scanning: Scanning,
        counters: Counters,
        skipping: Skipping | None = None,
        *,
        waiting: Skipping | None = None,
    ) -> None:
        super().__init__(rules, counters, skipping)
        self._scanning = scanning
        self._skip = waiting.skip if waiting is not None else None

    def _candidates(self, chunk: Chunk) -> Iterator[Candidate]:
        scanning, counters, getters = self._scanning, self._counters, self._getters
        narrow = self._skipping.narrow if self._skipping is not None else None
        first, begin, path = chunk.first_line, counters.events, chunk.path
        others = 0
        scan = scanning.scan(chunk.data, self._skip, path, first, begin)
        for row in scan:
            mask = row.mask
            if mask is None:
                counters.events = begin + others + row.before
                candidate = None if (line := row.line()).isspace() else self._general(chunk, first + row.number, line)
                others = counters.events - begin - row.before
                scan.position = begin + others
                if candidate is not None:
                    yield candidate
                continue
            if narrow is not None and not row.narrowed:
                mask = narrow(mask, row)
                if not mask:
                    continue
            fields = DecodedFields(row, scanning, getters)
            position = begin + others + row.before
            yield Candidate(mask, fields, position, path, first + row.number, raw=row.line())
        counters.events = begin + others + scan.clean
        if chunk.data.endswith(b"\n"):
            chunk.newlines = scan.number

    def end(self) -> None:
        super().end()
        self._skip = None

    def waited(self, event: Parked) -> Candidate:
        """Read an event again that has waited in the scanner."""
        line, path, number, position, _ = event
        return Candidate(0, self.fields(line), position, path, number, raw=line)

    def fields(self, event: bytes) -> Any:
        row = self._scanning.read(event)
        return super().fields(event) if row is None else DecodedFields(row, self._scanning, self._getters)


class StructReader(Reader):
    """Decodes chunks into typed structures. A chunk that they refuse goes line by line."""

    def _candidates(self, chunk: Chunk) -> Iterator[Candidate]:
        data = chunk.data
        read = None if not self._rules.decoder.complete or is_dotted(data) else self._typed(data)
        if read is None:
            yield from self._line_by_line(chunk)
            return
        ends, events, masks = read
        first, line = self._counters.events, chunk.first_line
        self._counters.events += len(events)
        narrow = self._skipping.narrow if self._skipping is not None else None
        for n, mask in enumerate(masks):
            if mask:
                event = events[n]
                if narrow is not None:
                    mask = narrow(mask, event)
                    if not mask:
                        continue
                yield self._candidate(event, mask, chunk, line + n, data[ends[n] + 1 : ends[n + 1]], first + n)

    def _typed(self, data: bytes) -> tuple[list[int], list[Any], list[int]] | None:
        """Give where the lines of a chunk end, the events and what each fulfils; None if it is not that simple."""
        try:
            events = self._rules.decoder.decode_lines(data)
            masks = self._rules.tree.masks(events)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
            return None
        ends = line_ends(data)
        if ends is None or len(ends) != len(events) + 1:
            return None  # blank lines; several objects on a line, or lines of an object
        return ends, events, masks

    def _candidate(self, event: object, mask: int, chunk: Chunk, number: int, line: bytes, position: int) -> Candidate:
        fields = DecodedFields(event, self._rules.decoder, self._getters)
        raw = line if line[0] == 123 and line[-1] == 125 else line.strip()
        return Candidate(mask, fields, position, chunk.path, number, raw=raw)

    def _line_by_line(self, chunk: Chunk) -> Iterator[Candidate]:
        for number, line in numbered_lines(chunk.data, chunk.first_line):
            candidate = self._line(chunk, number, line)
            if candidate is not None:
                yield candidate

    def _line(self, chunk: Chunk, number: int, line: bytes) -> Candidate | None:
        if self._rules.decoder.complete and not is_dotted(line):
            try:
                event = self._rules.decoder.decode(line)
                mask = self._rules.tree.mask(event)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
                pass
            else:
                position = self._counters.events
                self._counters.events += 1
                if mask and self._skipping is not None:
                    mask = self._skipping.narrow(mask, event)
                return self._candidate(event, mask, chunk, number, line, position) if mask else None
        return self._general(chunk, number, line)


def line_ends(data: bytes) -> list[int] | None:
    """Give where each line ends, -1 before the first; None unless every line begins and ends as an object does.

    As many such lines as objects are one object each.
    """
    ends = [-1]
    begin, size, find = 0, len(data), data.find
    while begin < size:
        end = find(b"\n", begin)
        if end < 0:
            end = size
        if data[begin] != 123 or data[end - 1] != 125:
            line = data[begin:end].strip()
            if line[:1] != b"{" or line[-1:] != b"}":
                return None
        ends.append(end)
        begin = end + 1
    return ends
