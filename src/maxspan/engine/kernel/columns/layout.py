"""The columns of a file as units, each with the fields that it holds; and whether columns say what rows would say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from maxspan.engine.kernel.columns.arrow import Unsuited, pa

#: `scalar`, a `list` of scalars, or `nested`: lists of lists or of structs, maps
Kind = Literal["scalar", "list", "nested"]
#: Documents in a wrapper are not told apart by column.
_WRAPPERS: Final = frozenset({"_source", "fields"})


@dataclass(frozen=True, eq=False)
class Unit:
    """A column without the structs around it: `path` leads to it. `fields` are the names of the values in it."""

    path: tuple[str, ...]
    type: Any
    kind: Kind
    fields: tuple[str, ...]
    #: whether names of fields depend on the values, as those of maps do
    has_keys: bool = False

    @property
    def dotted(self) -> str:
        return ".".join(self.path)

    @property
    def is_top(self) -> bool:
        return len(self.path) == 1


@dataclass(frozen=True, eq=False)
class Node:
    """A column or a member of a struct: a unit, or a struct with members."""

    name: str
    unit: Unit | None = None
    members: tuple[Node, ...] = ()

    def units(self) -> Iterator[Unit]:
        """Give all units in it, in order."""
        if self.unit is not None:
            yield self.unit
        for member in self.members:
            yield from member.units()


@dataclass
class Layout:
    """The columns of a file, and by the name of a field the units that hold values of it."""

    nodes: tuple[Node, ...]
    units: tuple[Unit, ...] = ()
    sources: dict[str, list[Unit]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.units = tuple(unit for node in self.nodes for unit in node.units())
        for unit in self.units:
            for name in dict.fromkeys(unit.fields):
                self.sources.setdefault(name, []).append(unit)

    def needed(self, names: Iterable[str]) -> tuple[Unit, ...]:
        """Give the units that hold some of these fields. Raises Unsuited where that depends on keys of maps."""
        wanted = set(names)
        for unit in self.units:
            if unit.has_keys and any(name.startswith(unit.dotted + ".") for name in wanted):
                raise Unsuited("rules read what stands in a map")
        return tuple(unit for unit in self.units if not wanted.isdisjoint(unit.fields))


def layout_of(schema: Any, names: list[str], types: list[Any]) -> Layout:
    """Lay out an Arrow schema. `names` and `types` are what DuckDB makes of the same columns.

    Raises Unsuited where the two do not agree, and for types whose values the two would write differently.
    """
    if names != schema.names or not names or not _WRAPPERS.isdisjoint(names):
        raise Unsuited("columns that are not told apart by name")
    nodes = [_node((name,), schema.field(n).type, types[n]) for n, name in enumerate(names)]
    return Layout(tuple(nodes))


def _node(path: tuple[str, ...], type_: Any, other: Any) -> Node:
    if len(path) > 100:
        raise Unsuited("too deep")
    if pa.types.is_struct(type_):
        pairs = zip(_struct_members(type_), _struct_children(type_, other), strict=True)
        return Node(path[-1], members=tuple(_node((*path, name), inner, child) for (name, inner), child in pairs))
    fields, has_keys = _fields(".".join(path), type_, other, 0)
    kind: Kind = "nested"
    if is_list(type_):
        kind = "nested" if is_list(type_.value_type) or pa.types.is_nested(type_.value_type) else "list"
    elif not pa.types.is_nested(type_):
        kind = "scalar"
    return Node(path[-1], Unit(path, type_, kind, tuple(fields), has_keys))


def is_list(type_: Any) -> bool:
    """Whether values of a type are lists of any length."""
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_))


def _struct_members(type_: Any) -> list[tuple[str, Any]]:
    return [(type_.field(n).name, type_.field(n).type) for n in range(type_.num_fields)]


def _struct_children(type_: Any, other: Any) -> list[Any]:
    names = [name for name, _ in _struct_members(type_)]
    # of a member's name rows keep what stands before a NUL
    if other.id != "struct" or [name for name, _ in other.children] != names or any("\0" in name for name in names):
        raise Unsuited("structs that are not told apart by name")
    return [child for _, child in other.children]


def _fields(name: str, type_: Any, other: Any, depth: int) -> tuple[list[str], bool]:
    """Give the names of the values in a column, and whether keys of maps are among them."""
    if depth > 100:
        raise Unsuited("too deep")
    if is_list(type_):
        if other.id != "list":
            raise Unsuited("a list that is none")
        if depth and pa.types.is_timestamp(type_.value_type) and type_.value_type.unit == "ns":
            raise Unsuited("nanoseconds in nested lists")
        return _fields(name, type_.value_type, other.children[0][1], depth + 1)
    if pa.types.is_struct(type_):
        out: list[str] = []
        keyed = False
        for (member, inner), child in zip(_struct_members(type_), _struct_children(type_, other), strict=True):
            if pa.types.is_timestamp(inner) and inner.unit == "ns":
                raise Unsuited("nanoseconds in structs in lists")
            found, has_keys = _fields(f"{name}.{member}", inner, child, depth + 1)
            out += found
            keyed |= has_keys
        return out, keyed
    if pa.types.is_map(type_):
        if other.id != "map" or not pa.types.is_string(type_.key_type):
            raise Unsuited("maps with keys that are no text")
        if pa.types.is_timestamp(type_.item_type) and type_.item_type.unit == "ns":
            raise Unsuited("nanoseconds in maps")
        _fields(name, type_.item_type, dict(other.children)["value"], depth + 1)
        return [], True
    if other.id not in _ids(type_) or (other.id == "decimal" and not _same_decimal(type_, other)):
        raise Unsuited(f"a column of type {type_}")
    return [name], False


def _same_decimal(type_: Any, other: Any) -> bool:
    parts = dict(other.children)
    return bool(parts == {"precision": type_.precision, "scale": type_.scale})


def _ids(type_: Any) -> tuple[str, ...]:
    """Give the names of DuckDB's types whose values Python and JSON write as those of an Arrow type."""
    types = pa.types
    if types.is_dictionary(type_):
        return _ids(type_.value_type) if types.is_string(type_.value_type) else ()
    if types.is_timestamp(type_):
        if type_.unit == "ns":
            return ("timestamp_ns",) if type_.tz is None else ("timestamptz_ns",)
        return ("timestamp",) if type_.tz is None else ("timestamp with time zone",)
    if types.is_time(type_):
        return () if type_.unit == "ns" else ("time",)
    if types.is_binary(type_) or types.is_large_binary(type_) or types.is_fixed_size_binary(type_):
        return ("blob",)
    if types.is_decimal128(type_):
        return ("decimal",)
    return _IDS.get(str(type_), ())


_IDS: Final[dict[str, tuple[str, ...]]] = {
    "string": ("varchar",),
    "large_string": ("varchar",),
    "bool": ("boolean",),
    "int8": ("tinyint",),
    "int16": ("smallint",),
    "int32": ("integer",),
    "int64": ("bigint",),
    "uint8": ("utinyint",),
    "uint16": ("usmallint",),
    "uint32": ("uinteger",),
    "uint64": ("ubigint",),
    "halffloat": ("float",),
    "float": ("float",),
    "double": ("double",),
    "date32[day]": ("date",),
    "null": ("null",),
}
