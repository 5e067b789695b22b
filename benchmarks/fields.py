"""The fields that a set of rules reads, with their types, for readers that want a schema before they read.

Types come from the first events of the data; a field that the data does not have gets the type of the constants that
the rules compare it with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from maxspan.languages import plan

Type = Literal["text", "list", "integer", "real", "boolean"]
Tree = dict[str, "Type | Tree"]
_SAMPLE: Final = 20_000


def fields_of(plans: Iterable[plan.Query], *, data: Path) -> dict[str, Type]:
    """Give every field that the plans read (conditions, categories, keys, time) and its type, sorted by name."""
    used: dict[str, Type] = {"@timestamp": "text", "event.category": "list"}
    for query in plans:
        for stage in plan.all_stages(query):
            for leaf in plan.leaves(stage.where):
                for field in plan.fields(leaf):
                    if used.setdefault(field.name, _type_in_rule(leaf)) == "text":
                        used[field.name] = _type_in_rule(leaf)
            keys = () if isinstance(query, plan.EventQuery) else query.keys(stage)
            for key in keys:
                used.setdefault(key.name, "text")
    seen = _types_in_data(data)
    typed = {name: seen.get(name, type_) for name, type_ in used.items()}
    return {name: typed[name] for name in sorted(typed) if not any(other.startswith(name + ".") for other in typed)}


def _type_in_rule(leaf: plan.Leaf) -> Type:
    if isinstance(leaf, plan.Comparison) and isinstance(leaf.left, plan.Field) and isinstance(leaf.right, plan.Literal):
        value = leaf.right.value
        if isinstance(value, bool):
            return "boolean"
        if isinstance(value, int):
            return "integer"
        if isinstance(value, float):
            return "real"
    if isinstance(leaf, plan.In) and all(type(item.value) is int for item in leaf.values):
        return "integer"
    return "text"


def _types_in_data(data: Path) -> dict[str, Type]:
    types: dict[str, Type] = {}
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with data.open("rb") as lines:
        for _, line in zip(range(_SAMPLE), lines, strict=False):
            for name, value in _flat("", decode(line)):
                if value is not None and types.get(name) not in ("list", "real"):
                    types[name] = _type(value)
    return types


def _flat(prefix: str, document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield prefix + key, value


def _type(value: object) -> Type:
    match value:
        case list():
            return "list"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "real"
        case _:
            return "text"


def tree(fields: Mapping[str, Type]) -> Tree:
    """Nest dotted names: `{"a": {"b": "text"}}`."""
    out: Tree = {}
    for name, type_ in fields.items():
        *path, last = name.split(".")
        here = out
        for part in path:
            inner = here.setdefault(part, {})
            assert isinstance(inner, dict)
            here = inner
        here[last] = type_
    return out


_PYTHON: Final[dict[Type, Any]] = {
    "text": str | None,
    "list": list[str] | None,
    "integer": int | None,
    "real": float | None,
    "boolean": bool | None,
}


def struct(fields: Mapping[str, Type]) -> type[msgspec.Struct]:
    """Make nested msgspec types that hold exactly these fields; unknown keys are skipped."""
    return _struct("Event", tree(fields))


def _struct(name: str, branch: Tree) -> type[msgspec.Struct]:
    members, renamed = [], {}
    for number, (key, type_) in enumerate(branch.items()):
        member = f"f{number}"
        renamed[member] = key
        inner = _struct(f"{name}_{number}", type_) | None if isinstance(type_, dict) else _PYTHON[type_]
        members.append((member, inner, None))
    return msgspec.defstruct(name, members, rename=renamed, gc=False)


_DUCKDB: Final[dict[Type, str]] = {
    "text": "VARCHAR",
    "list": "VARCHAR[]",
    "integer": "BIGINT",
    "real": "DOUBLE",
    "boolean": "BOOLEAN",
}


def duckdb_columns(fields: Mapping[str, Type]) -> str:
    """Write the fields as the `columns` argument of DuckDB's `read_json`."""
    pairs = (f"{_literal(key)}: {_literal(_duckdb_type(type_))}" for key, type_ in tree(fields).items())
    return "{" + ", ".join(pairs) + "}"


def _duckdb_type(type_: Type | Tree) -> str:
    if not isinstance(type_, dict):
        return _DUCKDB[type_]
    return "STRUCT(" + ", ".join(f'"{key}" {_duckdb_type(inner)}' for key, inner in type_.items()) + ")"


def polars_schema(fields: Mapping[str, Type]) -> dict[str, Any]:
    """Give the fields as the `schema` of Polars."""
    return {key: _polars_type(type_) for key, type_ in tree(fields).items()}


def _polars_type(type_: Type | Tree) -> Any:
    import polars

    if isinstance(type_, dict):
        return polars.Struct({key: _polars_type(inner) for key, inner in type_.items()})
    plain = {"text": polars.String, "integer": polars.Int64, "real": polars.Float64, "boolean": polars.Boolean}
    return polars.List(polars.String) if type_ == "list" else plain[type_]


_CLICKHOUSE: Final[dict[Type, str]] = {
    "text": "Nullable(String)",
    "list": "Array(Nullable(String))",
    "integer": "Nullable(Int64)",
    "real": "Nullable(Float64)",
    "boolean": "Nullable(Bool)",
}


def clickhouse_columns(fields: Mapping[str, Type]) -> str:
    """Write the fields as the structure of ClickHouse's `file` function."""
    return ", ".join(f"`{key}` {_clickhouse_type(type_)}" for key, type_ in tree(fields).items())


def _clickhouse_type(type_: Type | Tree) -> str:
    if not isinstance(type_, dict):
        return _CLICKHOUSE[type_]
    return "Tuple(" + ", ".join(f"`{key}` {_clickhouse_type(inner)}" for key, inner in type_.items()) + ")"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
