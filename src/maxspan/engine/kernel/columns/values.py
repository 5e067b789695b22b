"""A column as codes of its distinct values, and those values as the JSON of the rows says them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from maxspan.engine.kernel.columns.arrow import Unsuited, integers, is_there, np, pa, row_numbers
from maxspan.engine.kernel.columns.layout import is_list
from maxspan.engine.kernel.native.scanning import Scanning

_decode = msgspec.json.Decoder().decode
#: writes values as the rows do
encode_value: Callable[[Any], bytes] = msgspec.json.Encoder().encode
_NULL: Final = b"null"
#: Microseconds from year 1 to year 9999: beyond, DuckDB and numpy write times differently.
_FIRST_US: Final = -62_135_596_800_000_000
_LAST_US: Final = 253_402_300_799_999_999
_LAST_NS: Final = 2**63 - 2
#: whether offsets have 64 bits, where texts begin and end, and their bytes
Texts = tuple[bool, Any, Any]
_DAY_US: Final = 86_400_000_000
_US_OF: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}
#: nanoseconds in what times are counted in
NS_OF: Final = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}


def check(array: Any, type_: Any) -> None:
    """Raise Unsuited or pyarrow's ArrowInvalid for values that rows would refuse or write in a way of their own."""
    if not (pa.types.is_primitive(array.type) or pa.types.is_boolean(array.type)):
        array.validate(full=True)
    _check_values(array, type_)


def _check_values(array: Any, type_: Any) -> None:
    types = pa.types
    if types.is_timestamp(type_):
        _check_times(_known(array), type_)
    elif types.is_date(type_):
        days = _known(array)
        if len(days) and (days.min() < _FIRST_US // _DAY_US or days.max() > _LAST_US // _DAY_US):
            raise Unsuited("a day beyond the calendar")
    elif is_list(type_):
        _check_values(array.flatten() if types.is_temporal(type_.value_type) else array.values, type_.value_type)
    elif types.is_nested(type_):
        nested_values(array, type_)


class Scalars:
    """An array of scalars: `codes[row]` is the number of its value, `null` for none. Values are made when asked for."""

    def __init__(self, array: Any, type_: Any, *, nested: bool = False) -> None:
        self._type = type_
        self._nested = nested
        self._is_time = pa.types.is_timestamp(type_)
        if pa.types.is_dictionary(array.type):
            self.codes, self._values = _codes(array.indices, len(array.dictionary)), array.dictionary
        elif self._is_time or pa.types.is_null(type_):
            codes = np.arange(len(array), dtype=np.int32)
            if array.null_count:
                codes[~is_there(array)] = len(array)
            self.codes, self._values = codes, array
        else:
            encoded = array.dictionary_encode()
            self.codes, self._values = _codes(encoded.indices, len(encoded.dictionary)), encoded.dictionary
        self.null = len(self._values)
        self._made: dict[str, tuple[Any, Any]] = {}

    @property
    def texts(self) -> Texts | None:
        """Give the distinct values as the compiled scanner takes them; None where they are no texts."""
        return _texts(self._values)

    def pieces(self, places: Any, scanning: Scanning) -> tuple[bytes, bytes, Any]:
        """Give the JSON of values as pieces (`Scanning.text_pieces`), and as codes (32 bits) the numbers of these.

        The number of pieces is null. Values that none of the places has may be left out: their codes say nothing.
        """
        codes, chosen = self.codes, self._values
        if self.null > len(places) or chosen.null_count:
            wanted = np.zeros(self.null + 1, dtype=bool)
            wanted[codes[places]] = True
            own = np.flatnonzero(wanted[:-1])
            numbers = np.full(self.null + 1, len(own), dtype=np.int32)
            numbers[own] = np.arange(len(own), dtype=np.int32)
            codes, chosen = numbers[codes], chosen.take(row_numbers(own))
        texts = _texts(chosen)
        if texts is not None:
            return *scanning.text_pieces(*texts), codes
        if self._is_time and self._type.unit != "ns":
            us = integers(chosen) * np.int64(_US_OF[self._type.unit])
            return *scanning.time_pieces(us), codes
        return *joined(self._json_of(chosen)), codes

    def values(self, codes: Any) -> Any:
        """Give the values of codes as an array of objects: what decoding the JSON gives; None for null."""
        return self._of("values", codes, None, self._decoded)

    def json(self, codes: Any) -> Any:
        """Give the JSON of codes as an array of objects (bytes)."""
        return self._of("json", codes, _NULL, self._encoded)

    def _of(self, what: str, codes: Any, for_null: Any, make: Callable[[Any], list[Any]]) -> Any:
        if what not in self._made:
            self._made[what] = np.full(self.null + 1, for_null, dtype=object), np.zeros(self.null + 1, dtype=bool)
        values, made = self._made[what]
        made[self.null] = True
        wanted = np.zeros(self.null + 1, dtype=bool)
        wanted[codes] = True
        new = np.flatnonzero(wanted & ~made)
        if len(new):
            values[new] = make(new)
            made[new] = True
        return values[codes]

    def _decoded(self, codes: Any) -> list[Any]:
        if self._is_time:
            return self._times(codes)
        values = self._values.take(row_numbers(codes)).to_pylist()
        if _is_plain(self._type):
            return list(values)
        return [_decode(encode_value(value)) for value in values]

    def _encoded(self, codes: Any) -> list[bytes]:
        return self._json_of(self._values.take(row_numbers(codes)))

    def _json_of(self, values: Any) -> list[bytes]:
        if self._is_time:
            texts = time_texts(values, self._type, nested=self._nested)
            return [b'"' + text.encode() + b'"' for text in texts]
        return [encode_value(value) for value in values.to_pylist()]

    def _times(self, codes: Any) -> list[str]:
        return time_texts(self._values.take(row_numbers(codes)), self._type, nested=self._nested)


def _texts(values: Any) -> Texts | None:
    kind = values.type
    if values.null_count or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    wide = pa.types.is_large_string(kind)
    _, offsets, data = values.buffers()
    if offsets is None or not len(values):
        return wide, b"", b""
    whole = np.frombuffer(offsets, dtype=np.int64 if wide else np.int32)
    return wide, whole[values.offset : values.offset + len(values) + 1], data or b""


def joined(pieces: list[bytes]) -> tuple[bytes, bytes]:
    """Give pieces of JSON as `Scanning.text_pieces` does."""
    starts = np.zeros(len(pieces) + 1, dtype=np.int64)
    np.cumsum([len(piece) + 1 for piece in pieces], out=starts[1:])
    return b"\n".join(pieces) + b"\n", starts.tobytes()


def _is_plain(type_: Any) -> bool:
    """Whether values are the same before and after JSON."""
    types = pa.types
    if types.is_dictionary(type_):
        type_ = type_.value_type
    return bool(
        types.is_string(type_) or types.is_large_string(type_) or types.is_integer(type_) or type_ == pa.bool_()
    )


def _codes(indices: Any, null: int) -> Any:
    codes = integers(indices).astype(np.int32, copy=False)
    return np.where(is_there(indices), codes, np.int32(null)) if indices.null_count else np.ascontiguousarray(codes)


def _known(array: Any) -> Any:
    return integers(array)[is_there(array)] if array.null_count else integers(array)


def _check_times(numbers: Any, type_: Any) -> None:
    if not len(numbers):
        return
    low, high = int(numbers.min()), int(numbers.max())
    if type_.unit == "ns":
        if low < -_LAST_NS or high > _LAST_NS:
            raise Unsuited("a time without end")
    elif low < _FIRST_US // _US_OF[type_.unit] or high > _LAST_US // _US_OF[type_.unit]:
        raise Unsuited("a time beyond the calendar")


def time_texts(array: Any, type_: Any, *, nested: bool) -> list[str]:
    """Write times without nulls as the rows do."""
    numbers = integers(array)
    if type_.unit == "ns":
        texts = np.datetime_as_string(numbers.view("M8[ns]")).tolist()
        trimmed = [text.rstrip("0").removesuffix(".") for text in texts]
        if nested:
            zone = "" if type_.tz is None else "+00"
            return [text.replace("T", " ") + zone for text in trimmed]
        return [text + "Z" for text in trimmed]
    texts = np.datetime_as_string((numbers * _US_OF[type_.unit]).view("M8[us]")).tolist()
    return [text.removesuffix(".000000") for text in texts]


class Lists:
    """An array of lists of scalars."""

    def __init__(self, array: Any, type_: Any) -> None:
        self.items = Scalars(array.values, type_.value_type, nested=True)
        offsets = integers(array.offsets).astype(np.int64)
        self._starts, self._ends = offsets[:-1], offsets[1:]
        self.is_there = is_there(array)
        if array.null_count:
            self._ends = np.where(self.is_there, self._ends, self._starts)

    @property
    def spans(self) -> tuple[Any, Any]:
        """Give where the items of the lists begin and end."""
        return self._starts, self._ends

    def places(self, rows: Any) -> Any:
        """Give where the items of some lists are, list by list."""
        starts, counts = self._starts[rows], self._ends[rows] - self._starts[rows]
        before = np.cumsum(counts) - counts
        return np.repeat(starts - before, counts) + np.arange(counts.sum())

    def distinct(self, rows: Any) -> tuple[Any, list[tuple[Any, ...]]]:
        """Give for each row the number of its list, and the lists, without nulls in them; numbers are as they come."""
        starts, lengths = self._starts[rows], self._ends[rows] - self._starts[rows]
        numbers = np.zeros(len(rows), dtype=np.int64)
        found: list[tuple[Any, ...]] = []
        for length in np.unique(lengths).tolist():
            here = np.flatnonzero(lengths == length)
            places = starts[here][:, None] + np.arange(length)
            codes = self.items.codes[places]
            first, inverse = _distinct_rows(codes, self.items.null + 1)
            numbers[here] = inverse + len(found)
            values = self.items.values(codes[first].ravel()).tolist()
            for n in range(len(first)):
                own = values[n * length : (n + 1) * length]
                found.append(tuple([value for value in own if value is not None]))
        return numbers, found

    def json(self, rows: Any) -> list[bytes]:
        """Give the JSON of the lists at rows."""
        counts = self._ends[rows] - self._starts[rows]
        pieces = self.items.json(self.items.codes[self.places(rows)]).tolist()
        out: list[bytes] = []
        at = 0
        for count, there in zip(counts.tolist(), self.is_there[rows].tolist(), strict=True):
            out.append(b"[" + b",".join(pieces[at : at + count]) + b"]" if there else _NULL)
            at += count
        return out


def _distinct_rows(codes: Any, base: int) -> tuple[Any, Any]:
    """Give the first place of each distinct row of a matrix of codes below `base`, and for each row its number."""
    count, length = codes.shape
    if not length:
        return np.zeros(1, dtype=np.int64), np.zeros(count, dtype=np.int64)
    if base**length < 2**62:
        keys = np.zeros(count, dtype=np.int64)
        for column in range(length):
            keys = keys * base + codes[:, column]
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        return first, inverse
    data, width = np.ascontiguousarray(codes).tobytes(), codes.itemsize * length
    known: dict[bytes, int] = {}
    firsts: list[int] = []
    numbers = np.empty(count, dtype=np.int64)
    for row in range(count):
        key = data[row * width : (row + 1) * width]
        number = known.get(key)
        if number is None:
            number = known[key] = len(firsts)
            firsts.append(row)
        numbers[row] = number
    return np.array(firsts), numbers


def nested_values(array: Any, type_: Any) -> list[Any]:
    """Give the values of a nested column as those of the rows are before they become JSON.

    Raises Unsuited for maps with a key twice.
    """
    convert = _converter(type_)
    return [None if value is None else convert(value) for value in array.to_pylist()]


def _converter(type_: Any) -> Callable[[Any], Any]:
    if is_list(type_):
        item = _optional(_converter(type_.value_type))
        return lambda value: [item(one) for one in value]
    if pa.types.is_struct(type_):
        members = {type_.field(n).name: _optional(_converter(type_.field(n).type)) for n in range(type_.num_fields)}
        return lambda value: {name: member(value[name]) for name, member in members.items()}
    if pa.types.is_map(type_):
        return _map_converter(_optional(_converter(type_.item_type)))
    if pa.types.is_timestamp(type_):
        return _naive
    return lambda value: value


def _optional(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


def _map_converter(item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def convert(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
        out = {key: item(value) for key, value in pairs}
        if len(out) != len(pairs):
            raise Unsuited("a map with a key twice")
        return out

    return convert


def _naive(value: datetime.datetime) -> datetime.datetime:
    return value if value.tzinfo is None else value.astimezone(datetime.UTC).replace(tzinfo=None)
