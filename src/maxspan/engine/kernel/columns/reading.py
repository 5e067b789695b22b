"""A Parquet file as batches of columns, in bounded memory: first what rules read, the rest where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from maxspan.engine.kernel.columns.arrow import Unsuited, pa, pq
from maxspan.engine.kernel.columns.layout import Unit

#: Row groups up to this size, in rows and in bytes without compression, are read as one batch, dictionaries kept.
#: (Sizes of single columns are not asked for: pyarrow ends the process where their metadata is damaged.)
WHOLE_ROWS: Final = 150_000
WHOLE_BYTES: Final = 192 << 20
#: Of larger ones so many rows are read at a time.
BATCH_ROWS: Final = 16_384
_BUFFER: Final = 1 << 20


class ParquetReader:
    """Gives batches of the units `first`; `Batch.rest` reads the units `later` for the same rows.

    Raises pyarrow's errors and OSError where the file cannot be read.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = self._open(())
        self.schema = self._file.schema_arrow
        self.rows: int = self._file.metadata.num_rows
        metadata = self._file.metadata.metadata or {}
        #: all that says how columns are to be understood
        leaves = (self._file.schema.column(n) for n in range(len(self._file.schema)))
        self.about_schema = (
            tuple(self.schema.names),
            tuple((leaf.path, leaf.physical_type, str(leaf.logical_type), leaf.converted_type) for leaf in leaves),
            tuple(sorted(metadata.items())),
        )
        #: readers that keep dictionaries, by the columns that they read; None where that is not possible
        self._keeping: dict[str, Any] = {}

    def _open(self, dictionaries: Sequence[str], metadata: Any = None) -> Any:
        return pq.ParquetFile(
            self._path,
            read_dictionary=list(dictionaries),
            # what is read with dictionaries is a whole row group, of a size that is known
            buffer_size=0 if dictionaries else _BUFFER,
            metadata=metadata,
            coerce_int96_timestamp_unit="us",  # as DuckDB does
        )

    def close(self) -> None:
        for file in (self._file, *self._keeping.values()):
            if file is not None:
                file.close()

    def batches(self, first: Sequence[Unit], later: Sequence[Unit]) -> Iterator[Batch]:
        """Give all rows in order."""
        for group in range(self._file.num_row_groups):
            about = self._file.metadata.row_group(group)
            whole = about.num_rows <= WHOLE_ROWS and about.total_byte_size <= WHOLE_BYTES
            if not about.num_rows:
                continue
            if whole:
                columns = self._read(group, first, "first")
                size = about.total_byte_size
                yield Batch(about.num_rows, size, columns, _WholeRest(self, group, later, about.num_rows))
                continue
            rest = _Rest(self._stream(group, later)) if later else None
            for number, part in enumerate(self._stream(group, first)):
                size = about.total_byte_size * part.num_rows // about.num_rows
                yield Batch(part.num_rows, size, [part], _StreamRest(rest, number, part.num_rows))

    def read_rest(self, group: int, units: Sequence[Unit]) -> list[Any]:
        return self._read(group, units, "later")

    def _read(self, group: int, units: Sequence[Unit], which: str) -> list[Any]:
        """Read a row group as one batch; with dictionaries where that works (not for all nested columns)."""
        names = [unit.dotted for unit in units]
        if which not in self._keeping:
            leaves = [self._file.schema.column(n) for n in range(len(self._file.schema))]
            texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and not _is_nested(leaf, units)]
            self._keeping[which] = self._open(texts, self._file.metadata)
        file = self._keeping[which]
        if file is not None:
            try:
                return _single(file.read_row_group(group, columns=names, use_threads=False))
            except (pa.ArrowNotImplementedError, OSError):  # what is damaged fails once more below
                file.close()
                self._keeping[which] = None
        return _single(self._file.read_row_group(group, columns=names, use_threads=False))

    def _stream(self, group: int, units: Sequence[Unit]) -> Iterator[Any]:
        names = [unit.dotted for unit in units]
        batches = self._file.iter_batches(BATCH_ROWS, row_groups=[group], columns=names, use_threads=False)
        return iter(batches)


class Batch:
    """So many rows, the columns that were read of them, and the others when they are asked for. `bytes` is a share."""

    def __init__(self, rows: int, size: int, columns: list[Any], rest: _WholeRest | _StreamRest) -> None:
        self.rows = rows
        self.bytes = size
        self._tops = _by_name(columns, rows)
        self._rest = rest
        self._rest_tops: dict[str, Any] | None = None

    def array(self, unit: Unit) -> Any:
        """Give the values of a unit. Reads the rest if it is not among what was read first."""
        found = _inner(self._tops, unit.path)
        if found is None:
            found = _inner(self._others(), unit.path)
        if found is None:
            raise Unsuited(f"{unit.dotted!r} was not read")
        return found

    def struct(self, path: tuple[str, ...]) -> Any:
        """Give the structs at a path, for whether they are there."""
        found = _inner(self._tops, path)
        if found is None:
            found = _inner(self._others(), path)
        if found is None:
            raise Unsuited("a struct without members")
        return found

    def _others(self) -> dict[str, Any]:
        if self._rest_tops is None:
            self._rest_tops = _by_name(self._rest.read(), self.rows)
        return self._rest_tops


class _WholeRest:
    def __init__(self, reader: ParquetReader, group: int, units: Sequence[Unit], rows: int) -> None:
        self._reader, self._group, self._units, self._rows = reader, group, units, rows

    def read(self) -> list[Any]:
        return self._reader.read_rest(self._group, self._units) if self._units else []


class _Rest:
    """The rest of a row group, batch by batch; those in between are passed over."""

    def __init__(self, stream: Iterator[Any]) -> None:
        self._stream = stream
        self._next = 0

    def read(self, number: int) -> Any:
        while True:
            part = next(self._stream, None)
            self._next += 1
            if part is None:
                raise Unsuited("columns of unequal length")
            if self._next > number:
                return part


class _StreamRest:
    def __init__(self, rest: _Rest | None, number: int, rows: int) -> None:
        self._rest, self._number, self._rows = rest, number, rows

    def read(self) -> list[Any]:
        return [] if self._rest is None else [self._rest.read(self._number)]


def _single(table: Any) -> list[Any]:
    return list(table.combine_chunks().to_batches())


def _by_name(batches: list[Any], rows: int) -> dict[str, Any]:
    if not batches:
        return {}
    if len(batches) != 1 or batches[0].num_rows != rows:
        raise Unsuited("columns of unequal length")
    return dict(zip(batches[0].schema.names, batches[0].columns, strict=True))


def _inner(tops: dict[str, Any], path: tuple[str, ...]) -> Any:
    found = tops.get(path[0])
    for name in path[1:]:
        if found is None or not pa.types.is_struct(found.type) or found.type.get_field_index(name) < 0:
            return None
        found = found.field(name)
    return found


def _is_nested(leaf: Any, units: Sequence[Unit]) -> bool:
    """Whether a leaf is part of lists in lists and the like, where dictionaries are of no use."""
    return any(unit.kind == "nested" and leaf.path.startswith(unit.dotted) for unit in units)
