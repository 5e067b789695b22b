"""Rows of a Parquet file as lines of JSON, batch by batch, through DuckDB."""

from __future__ import annotations

import datetime
import decimal
import glob
import re
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
    rows_of = "read_parquet(?, hive_partitioning = false)"
    path = glob.escape(path)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        columns = connection.execute(f"DESCRIBE SELECT * FROM {rows_of}", [path]).fetchall()
        chosen = ", ".join(_column(name, type_) for name, type_, *_ in columns)
        names = [name for name, *_ in columns]
        result = connection.execute(f"SELECT {chosen} FROM {rows_of}", [path])
        while rows := result.fetchmany(_ROWS):
            yield [
                _encoder.encode({name: value for name, value in zip(names, row, strict=True) if value is not None})
                for row in rows
            ]
    finally:
        connection.close()


#: Types inside a type, past the names of fields. Nanoseconds do not fit Python's datetime, and it wants a
#: package of its own for times with a zone: those come as text, these in UTC.
_TIMES: Final = re.compile(r'"(?:[^"]|"")*"|\b(?:TIME(?:STAMP)? WITH TIME ZONE|TIMESTAMP(?:TZ)?_NS)(?=[,)\[]|$)')
_AS: Final = {
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "TIMESTAMP_NS": "VARCHAR",
    "TIMESTAMPTZ_NS": "VARCHAR",
    "TIME WITH TIME ZONE": "VARCHAR",
}


def _column(name: str, type_: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    if type_ in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS"):
        return f"replace(CAST(CAST({quoted} AS TIMESTAMP_NS) AS VARCHAR), ' ', 'T') || 'Z'"
    readable = _TIMES.sub(lambda found: _AS.get(found[0], found[0]), type_)
    return quoted if readable == type_ else f"CAST({quoted} AS {readable})"


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
