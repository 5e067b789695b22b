from collections.abc import Callable, Iterator
from typing import Any, final

from typing_extensions import Buffer

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
    def line(self) -> bytes: ...
    def time(self, number: int, /) -> int | None: ...
    def __getitem__(self, number: int, /) -> Any: ...

class Lane:
    """What waits at one host."""

    from_ns: int
    passed_ns: int
    open: bytes
    passed: bytes

    def __new__(cls, words: int, /) -> Lane: ...

class Skip:
    """The lanes of all hosts."""

    def __new__(
        cls,
        time: int,
        host: int,
        lane_of: Callable[[bytes | None], Lane | None],
        later: Callable[[int], bool],
        every: Lane,
        across: bytes,
        /,
    ) -> Skip: ...

@final
class Scan(Iterator[Row]):
    """Goes through a chunk."""

    @property
    def clean(self) -> int: ...
    def __next__(self) -> Row: ...

@final
class Lines(Iterator[Row]):
    """Goes through rows of columns."""

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
    def scan(self, data: bytes, skip: Skip | None = None, /) -> Scan: ...
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
        rows: int,
        places: Buffer,
        masks: bytes,
        numbers: Buffer,
        parts: tuple[Part, ...],
        /,
    ) -> Lines: ...
    def forget(self) -> None: ...
