"""Rows of a Parquet file as lines of JSON, batch by batch, through DuckDB."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Iterator
from typing import Any, Final

import msgspec

_ROWS: Final = 2000
_encoder = msgspec.json.Encoder(enc_hook=lambda value: _plain(value))


def rows_as_lines(path: str) -> Iterator[list[bytes]]:
    """Give the rows as lines, in their order, null columns left out.

    A column with a dotted name is a dotted key. Timestamps become ISO text in UTC; with nanoseconds where the file
    has them. Raises `duckdb.Error` where the file is damaged, after the rows that could be read.
    """
    import duckdb

    connection = duckdb.connect()
    try:
        connection.execute("SET TimeZone = 'UTC'")
        columns = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()
        chosen = ", ".join(_column(name, type_) for name, type_, *_ in columns)
        names = [name for name, *_ in columns]
        result = connection.execute(f"SELECT {chosen} FROM read_parquet(?)", [path])
        while rows := result.fetchmany(_ROWS):
            yield [
                _encoder.encode({name: value for name, value in zip(names, row, strict=True) if value is not None})
                for row in rows
            ]
    finally:
        connection.close()


def _column(name: str, type_: str) -> str:
    """Nanoseconds do not fit Python's datetime: such columns come as text."""
    quoted = '"' + name.replace('"', '""') + '"'
    if type_ == "TIMESTAMP_NS":
        return f"replace(CAST({quoted} AS VARCHAR), ' ', 'T') || 'Z'"
    return quoted


def _plain(value: Any) -> Any:
    match value:
        case datetime.datetime():
            return value.isoformat()
        case datetime.date() | datetime.time() | uuid.UUID() | datetime.timedelta():
            return str(value)
        case decimal.Decimal():
            return float(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode("utf-8", "replace")
        case _:
            return str(value)
