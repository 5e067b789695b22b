"""What the scanner asks of Python: what a value leaves possible, and in which order fields are asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from maxspan.engine.kernel import open_keys
from maxspan.engine.kernel.decoding import Getter, Leaf
from maxspan.engine.kernel.gates import Gates
from maxspan.engine.kernel.order import FirstEvents
from maxspan.engine.kernel.tables import FieldTable

if TYPE_CHECKING:
    from maxspan.engine.kernel.native._scan import Keys, Lane, Lines, Parked, Part, Row, Scan, Skip

#: what a value costs that was not seen before, against one that was
_NEW_VALUE: Final = 100.0
#: of longer lines only the fields are kept while events are gathered
_LONGEST_KEPT: Final = 16_384
#: Plans are forgotten when there are so many.
MOST_BEGINNINGS: Final = 1_000

_decode = msgspec.json.Decoder(Leaf).decode
_number = partial(int.from_bytes, byteorder="little")


class Stage(NamedTuple):
    """A later stage: the mask of its pieces, the keys that it waits for, and whether it joins across hosts.

    `fields` and `required` are of its join keys; they are not looked at where keys are not `told` apart.
    """

    own: int
    keys: open_keys.Keys
    across: bool
    told: bool
    fields: tuple[str, ...]
    required: tuple[bool, ...]


class Opener(NamedTuple):
    """What begins a sequence: the mask of its pieces, its join keys, and the numbers of the stages that it opens."""

    own: int
    fields: tuple[str, ...]
    required: tuple[bool, ...]
    stages: tuple[int, ...]
    across: bool
    maxspan_ns: int


#: the later stages of a mask, the openers that may wait, the samples, and for each of these the bits of its roles
Program = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]


class Scanning:
    """Reads chunks with the compiled module: `scan(chunk)` gives rows for lines that fulfil something or were not read.

    A row's `mask` are the pieces of rules that are possible, None for a line that has to go the general way. `getter`
    reads fields of rows.
    """

    def __init__(self, module: Any, names: Collection[str], gates: Gates, pieces: int) -> None:
        self._module = module
        self._getters: dict[tuple[str, ...], Getter] = {}
        fields = tuple(sorted(names))
        self._places = {name: place for place, name in enumerate(fields)}
        self._gates = gates
        self._every = (1 << pieces) - 1
        self._words = (pieces + 63) // 64
        # lines are asked for the later ones alone, columns for all
        tables = {**gates.later, **gates.tables}
        self._tables = list(tables.values())
        self._columns = {key: number for number, key in enumerate(tables)}
        self._beginnings: dict[int, _Beginning] = {}
        #: those without a plan, by the values that lead to them
        self._unsettled: dict[tuple[Any, ...], _Beginning] = {}
        self._asked: _Beginning
        asked = tuple(self._places[name] for name in gates.fields)
        self._gate_places = asked
        columns = tuple(
            (self._places[table.name], self.bytes(table.constrained), table.texts()) for table in self._tables
        )
        answers = self._root, self._gather, self._value, self._held, _number, _decode
        self._scanner = module.Scanner(fields, asked, columns, self._words, *answers)
        #: goes through a chunk; for events that wait with the path, the number of the first line, and its position
        self.scan: Callable[[bytes, Skip | None, str, int, int], Scan] = self._scanner.scan
        #: reads one line; None if it is not plain
        self.read: Callable[[bytes], Row | None] = self._scanner.read
        #: for streams: the name of a host that has to be looked after; its next event up to a time that continues
        #: something, and its mask; all events up to a time; and word of a time that has come
        self.changed: Callable[[Skip], str | None] = self._scanner.changed
        self.turn: Callable[[Skip, Lane, int], tuple[int, Parked] | None] = self._scanner.turn
        self.turns: Callable[[Lane, int], list[tuple[int, Parked]]] = self._scanner.turns
        self.tell: Callable[[Skip, Lane, int], None] = self._scanner.tell
        #: forgets what was put aside at a host
        self.forget_aside: Callable[[Lane], None] = self._scanner.forget_aside

    def getter(self, *names: str) -> Getter:
        """Give what reads one field of a row, or several as a tuple: scalars, tuples of scalars, or None."""
        known = self._getters.get(names)
        if known is None:
            known = self._getters[names] = itemgetter(*(self._places[name] for name in names))
        return known

    def time(self, row: Row, name: str) -> int | None:
        """Give a field as nanoseconds since 1970 if it is one time of the usual form; else None."""
        return row.time(self._places[name])

    def lane(self, host: str) -> Lane:
        """Make the lane of a host."""
        lane: Lane = self._module.Lane(self._words, host)
        return lane

    def keys(self) -> Keys:
        """Make the keys of a stage."""
        keys: Keys = self._module.Keys(open_keys.PURGE_AT, open_keys.MOST_KEYS)
        return keys

    def skip(
        self,
        fields: tuple[str, str, str],
        lane_of: Callable[[bytes | None], Lane | None],
        program: Callable[[int], Program],
        every: Lane,
        parks: bool,
    ) -> Skip:
        """Make what passes over events, by the fields of their time, their host and their place within a time.

        `lane_of` gives the lane of a host as JSON writes its name, None if Python has to look at its events; `program`
        gives what a mask has, by the numbers of later stages, openers and samples; `every` is the lane of what joins
        across hosts. Nothing waits without `parks`.
        """
        places = [self._places[name] for name in fields]
        skip: Skip = self._module.Skip(len(self._places), *places, lane_of, program, every, parks)
        return skip

    def add_stage(self, skip: Skip, stage: Stage) -> None:
        """Add a later stage; they are numbered from 0."""
        fields = tuple(self._places[name] for name in stage.fields)
        keys: Any = stage.keys
        skip.add_stage(self.bytes(stage.own), keys, stage.across, stage.told, fields, stage.required)

    def add_opener(self, skip: Skip, opener: Opener) -> None:
        """Add what begins a sequence; they are numbered from 0."""
        fields = tuple(self._places[name] for name in opener.fields)
        maxspan_ns = min(opener.maxspan_ns, open_keys.LATEST)
        skip.add_opener(self.bytes(opener.own), opener.across, fields, opener.required, opener.stages, maxspan_ns)

    def add_sample(self, skip: Skip, own: int) -> None:
        """Add a rule on samples by the mask of its pieces; they are numbered from 0."""
        skip.add_sample(self.bytes(own))

    def wait(self, skip: Skip, at_host: int, across: int, wait_ns: int) -> None:
        """Let events of a stream wait for their turn: those of pieces that join by host, and of those that do not."""
        skip.wait(self.bytes(at_host), self.bytes(across), wait_ns)

    def follow(self, skip: Skip, alone: int, heads: Iterable[tuple[int, int]]) -> None:
        """Let nothing be passed over that something from before a run may wait for, the longest maxspan first.

        Events of the pieces that run `alone` are put aside, others stay.
        """
        masks = tuple((min(maxspan_ns, open_keys.LATEST), self.bytes(own)) for maxspan_ns, own in heads)
        skip.follow(self.bytes(alone), masks)

    def aside(self, skip: Skip | None, lane: Lane, wanted: int) -> Iterator[tuple[int, Parked]]:
        """Give the events of a host that were put aside and have some of a mask: what of it, and the event.

        Of what a Skip has open, which may change meanwhile, those that continue it; all without one.
        """
        mask, ask = self.bytes(wanted), self._scanner.aside
        while (found := ask(skip, lane, mask)) is not None:
            yield found

    def narrow(self, row: Row, mask: int, skip: Skip) -> int | None:
        """Leave out of a row's mask what it does not continue; None if its time or host is not so simple."""
        narrowed: int | None = self._scanner.narrow(row, self.bytes(mask), skip)
        return narrowed

    def _root(self, row: Row) -> int:
        """Give the plan for a row with these values of the first fields, -1 where there is none yet."""
        values = tuple(map(row.__getitem__, self._gate_places))
        known = self._unsettled.get(values)
        if known is None:
            known = self._beginning(self._gates.mask_of(values))
            if known.plan < 0 and len(self._unsettled) < MOST_BEGINNINGS and all(map(_is_text_or_none, values)):
                self._unsettled[values] = known
        self._asked = known
        if known.plan < 0 and (known.first is None or known.first.full):
            order = [key for keys in known.first.settle(_NEW_VALUE) for key in keys] if known.first else []
            known.plan = self._scanner.add_plan(self.bytes(known.mask), tuple(self._columns[key] for key in order))
            self._unsettled.clear()
        return known.plan

    def _beginning(self, mask: int) -> _Beginning:
        known = self._beginnings.get(mask)
        if known is None:
            if len(self._beginnings) >= MOST_BEGINNINGS:
                self._beginnings.clear()
                self._unsettled.clear()
                self._scanner.forget()
            known = self._beginnings[mask] = _Beginning(mask, self._gates.later, self.getter)
        return known

    def _gather(self, row: Row) -> int:
        """Give what a row fulfils for which there was no plan; it helps to make one."""
        assert self._asked.first is not None
        # the row holds nothing else of the chunk then
        long = len(row.line()) > _LONGEST_KEPT
        return self._asked.first.take(tuple(map(row.__getitem__, self._places.values())) if long else row)

    def _value(self, number: int, text: bytes | None) -> bytes:
        """Give what a value of a table's field, as JSON writes it, leaves possible."""
        return self.bytes(self._tables[number].mask_once(None if text is None else _decode(text)))

    def _held(self, number: int, atoms: bytes) -> bytes:
        """Give what a value that fulfils these atoms leaves possible."""
        return self.bytes(self._tables[number].mask_of_atoms(_number(atoms)))

    def narrow_rows(
        self, key: str, rows: Any, numbers: Any, masks: bytes, *column: Any
    ) -> tuple[bytes, bytes, bytes] | None:
        """Leave to rows what a table, by its key, says of their values; gives rows, numbers and masks of those left.

        Rows are told by their places in the column, and have numbers of masks (64 bits each). A column of texts is
        given as `wide, offsets, data, codes`: codes are of 32 bits, the number of texts stands for none. For lists of
        texts `starts, ends` follow: where each has its codes (64 bits). None: the table rules out nothing of these
        masks. Raises ValueError where that does not fit together.
        """
        found: tuple[bytes, bytes, bytes] | None = self._scanner.narrow_rows(
            self._columns[key], rows, numbers, masks, *column
        )
        return found

    def lines(
        self,
        skip: Skip | None,
        source: tuple[str, int, int],
        count: int,
        rows: Any,
        numbers: Any,
        masks: bytes,
        parts: tuple[Part, ...],
        *,
        parks: bool,
    ) -> Lines:
        """Go through rows of columns as `scan` does through lines, those that `skip` passes over left out.

        Rows are told by their places in columns of `count` values, and have numbers of masks (64 bits each). `parts`
        are what lines are written of; what may wait does so only if it `parks`: then `read` has to take these lines.
        `source` is the path, with the number and the position of the first row of the columns.
        """
        lines: Lines = self._scanner.lines(skip, *source, parks, count, rows, masks, numbers, parts)
        return lines

    def packed(self, masks: Iterable[int]) -> bytes:
        """Give masks one after another."""
        return b"".join(map(self.bytes, masks))

    def unpacked(self, masks: bytes) -> list[int]:
        """Give masks that stand one after another."""
        size = 8 * self._words
        return [_number(masks[begin : begin + size]) for begin in range(0, len(masks), size)]

    @property
    def places(self) -> Mapping[str, int]:
        """Give the numbers of the fields of rows."""
        return self._places

    def text_pieces(self, *texts: Any) -> tuple[bytes, bytes]:
        """Write texts (`wide, offsets, data`) as JSON, a line feed after each; gives where each begins, and the end."""
        pieces: tuple[bytes, bytes] = self._module.text_pieces(*texts)
        return pieces

    def time_pieces(self, times: Any) -> tuple[bytes, bytes]:
        """Write times, in microseconds since 1970 (64 bits), in the same way; none but of the years 1 to 9999."""
        pieces: tuple[bytes, bytes] = self._module.time_pieces(times)
        return pieces

    def bytes(self, mask: int) -> bytes:
        """Give a mask as the compiled module has it."""
        return (mask & self._every).to_bytes(8 * self._words, "little")


class _Beginning:
    """What is behind the first fields for one mask: the first events, and then the plan that they lead to."""

    def __init__(self, mask: int, tables: dict[str, FieldTable], getter: Any) -> None:
        self.mask = mask
        own = {key: table for key, table in tables.items() if table.constrained & mask}
        self.first = FirstEvents(mask, own, getter) if own else None
        self.plan = -1


def _is_text_or_none(value: Any) -> bool:
    """Whether a value is told apart from others as a key: 1, 1.0 and true would be one."""
    return value is None or type(value) is str
