from collections.abc import Callable
from typing import Any, final

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
    def __getitem__(self, number: int, /) -> Any: ...

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
    @property
    def clean(self) -> int: ...
    def scan(self, data: bytes, /) -> list[Row]: ...
    def add_plan(self, mask: bytes, columns: tuple[int, ...], /) -> int: ...
    def forget(self) -> None: ...
