from collections.abc import Callable, Iterator
from typing import Any, final

from typing_extensions import Buffer

from maxspan.engine.kernel.native.scanning import Program
from maxspan.engine.kernel.tables import Texts

@final
class Row:
    """A line of a chunk; `row[n]` is its n-th field: a scalar, a tuple of scalars, or None."""

    @property
    def mask(self) -> int | None: ...
    @property
    def number(self) -> int: ...
    @property
    def before(self) -> int: ...
    @property
    def narrowed(self) -> bool: ...
    def line(self) -> bytes: ...
    def time(self, number: int, /) -> int | None: ...
    def __getitem__(self, number: int, /) -> Any: ...

class Keys:
    """The keys that a later stage waits for."""

    def __new__(cls, least: int, most: int, /) -> Keys: ...
    @property
    def latest_ns(self) -> int: ...
    def open(self, texts: tuple[str, ...] | None, until_ns: int, now_ns: int, /) -> None: ...
    def until(self, texts: tuple[str, ...] | None, now_ns: int, /) -> int: ...

#: an event that waited: its line, where it is from, the number of the line, the position, the bits of its roles
Parked = tuple[bytes, str, int, int, int]

class Lane:
    """What waits at one host."""

    until_ns: int
    passed_ns: int
    taken_ns: int
    passed: bytes
    since_ns: int
    first_ns: int
    first: bytes

    latest_ns: int
    released_ns: int
    attended: bool

    def __new__(cls, words: int, name: str | None = None, /) -> Lane: ...
    @property
    def dropped_ns(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    def parked(self, opener: int, texts: tuple[str, ...] | None, from_ns: int = ..., /) -> list[Parked]: ...
    @property
    def aside_bytes(self) -> int: ...
    def spans(self) -> list[tuple[int, int, int]]: ...

class Skip:
    """The lanes of all hosts, and the stages of sequences."""

    def __new__(
        cls,
        fields: int,
        time: int,
        host: int,
        tie: int,
        lane_of: Callable[[bytes | None], Lane | None],
        program: Callable[[int], Program],
        every: Lane,
        parks: bool,
        /,
    ) -> Skip: ...
    def add_stage(
        self,
        own: bytes,
        keys: Keys,
        across: bool,
        told: bool,
        fields: tuple[int, ...],
        required: tuple[bool, ...],
        /,
    ) -> None: ...
    def add_opener(
        self,
        own: bytes,
        across: bool,
        fields: tuple[int, ...],
        required: tuple[bool, ...],
        stages: tuple[int, ...],
        maxspan_ns: int,
        /,
    ) -> None: ...
    def wait(self, at_host: bytes, across: bytes, wait_ns: int, /) -> None: ...
    def follow(self, alone: bytes, heads: tuple[tuple[int, bytes], ...], /) -> None: ...
    def add_sample(self, own: bytes, /) -> None: ...
    def seen(self, number: int, /) -> int: ...
    def sampled(self, number: int, /) -> list[Parked]: ...
    @property
    def sample_bytes(self) -> int: ...

@final
class Scan(Iterator[Row]):
    """Goes through a chunk."""

    position: int
    @property
    def clean(self) -> int: ...
    @property
    def number(self) -> int: ...
    def __next__(self) -> Row: ...

@final
class Lines(Iterator[Row]):
    """Goes through rows of columns."""

    end: int

    def __next__(self) -> Row: ...

#: what a line is written of, in order; see native/lines.h
Part = tuple[
    int,
    bytes,
    bool,
    int,
    int,
    Buffer | None,
    Buffer | None,
    Buffer | None,
    Buffer | None,
    Buffer | None,
    Buffer | None,
]

def text_pieces(wide: bool, offsets: Buffer, data: Buffer, /) -> tuple[bytes, bytes]: ...
def time_pieces(times: Buffer, /) -> tuple[bytes, bytes]: ...

class Scanner:
    """Reads chunks of lines for a set of rules."""

    def __new__(
        cls,
        fields: tuple[str, ...],
        gates: tuple[int, ...],
        columns: tuple[tuple[int, bytes, Texts | None], ...],
        words: int,
        root: Callable[[Row], int],
        gather: Callable[[Row], int],
        value: Callable[[int, bytes | None], bytes],
        held: Callable[[int, bytes], bytes],
        number: Callable[[bytes], int],
        decode: Callable[[bytes], Any],
        /,
    ) -> Scanner: ...
    def scan(
        self, data: bytes, skip: Skip | None = None, path: str | None = None, first: int = 0, position: int = 0, /
    ) -> Scan: ...
    def changed(self, skip: Skip, /) -> str | None: ...
    def turn(self, skip: Skip, lane: Lane, until_ns: int, /) -> tuple[int, Parked] | None: ...
    def turns(self, lane: Lane, until_ns: int, /) -> list[tuple[int, Parked]]: ...
    def aside(self, skip: Skip | None, lane: Lane, mask: bytes, /) -> tuple[int, Parked] | None: ...
    def forget_aside(self, lane: Lane, /) -> None: ...
    def tell(self, skip: Skip, lane: Lane, now_ns: int, /) -> None: ...
    def read(self, line: bytes, /) -> Row | None: ...
    def narrow(self, row: Row, mask: bytes, skip: Skip, /) -> int | None: ...
    def add_plan(self, mask: bytes, columns: tuple[int, ...], /) -> int: ...
    def narrow_rows(
        self,
        column: int,
        rows: Buffer,
        numbers: Buffer,
        masks: bytes,
        wide: bool,
        offsets: Buffer,
        data: Buffer,
        codes: Buffer,
        starts: Buffer = ...,
        ends: Buffer = ...,
        /,
    ) -> tuple[bytes, bytes, bytes] | None: ...
    def lines(
        self,
        skip: Skip | None,
        path: str,
        first: int,
        position: int,
        parks: bool,
        rows: int,
        places: Buffer,
        masks: bytes,
        numbers: Buffer,
        parts: tuple[Part, ...],
        /,
    ) -> Lines: ...
    def forget(self) -> None: ...
