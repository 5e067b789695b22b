"""What the query does not ask for, but an event of Elastic Defend and its like has: host, user, process, data stream.

A field is added only when that changes for no stage of the rule whether the event fits it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from maxspan.prover.samples import Scalar
from maxspan.prover.solve import Assignment
from maxspan.schema.index_patterns import TYPES, IndexPatterns, told_by

_ENDPOINT: Final = frozenset({"process", "file", "network", "registry", "library", "driver", "dns", "api"})
_FILE_SUFFIX: Final = {"windows": ".exe"}


def dress(
    fields: Assignment, category: str | None, index: Sequence[str], unchanged: Callable[[Assignment], bool]
) -> Assignment:
    """Give the event with what is usual beside the fields that it has; `unchanged` says whether it means the same."""
    dressed = {name: list(values) for name, values in fields.items() if values}
    for name, value in _usual(dressed, category):
        if name in dressed:
            continue
        wider = {**dressed, name: list(value) if isinstance(value, tuple) else [value]}
        if unchanged(wider):
            dressed = wider
    return _placed(dressed, category, index, unchanged)


def _usual(fields: Assignment, category: str | None) -> Iterator[tuple[str, Scalar | tuple[Scalar, ...]]]:
    yield "event.kind", "event"
    if category not in _ENDPOINT and "host.os.type" not in fields and "host.id" not in fields:
        return
    system = _first(fields, "host.os.type") or ("windows" if category == "registry" else "linux")
    yield "host.os.type", system
    yield "host.id", "0c1d2e3f405162738495a6b7c8d9eafb"
    yield "host.name", "host-1"
    yield "agent.id", "5f2c3a1e-0000-4000-8000-00000000a001"
    yield "agent.type", "endpoint"
    yield "user.name", "alice"
    yield "user.id", "S-1-5-21-1-2-3-1001" if system == "windows" else "1000"
    if category is None:
        return
    name = _first(fields, "process.name") or _last_part(_first(fields, "process.executable"))
    yield "process.pid", 4242
    yield "process.entity_id", "ZXhhbXBsZS0x"
    name = name or "example" + _FILE_SUFFIX.get(system, "")
    yield "process.name", name
    yield "process.executable", _path(system, name)
    executable = _first(fields, "process.executable") or _path(system, name)
    if category == "process":
        arguments = tuple(fields.get("process.args", (executable,)))
        yield "process.args", arguments
        yield "process.command_line", " ".join(map(str, arguments))
        yield "process.args_count", len(arguments)
        yield "process.parent.pid", 4200
        yield "process.parent.entity_id", "ZXhhbXBsZS0w"
    if category == "file":
        path = _first(fields, "file.path")
        yield "file.name", _last_part(path) or "sample.dat"
        if not path:
            yield "file.path", _path(system, _first(fields, "file.name") or "sample.dat")
    if category == "network":
        yield "network.transport", "tcp"
        yield "source.ip", "192.0.2.10"
        yield "source.port", 49152
        yield "destination.ip", "198.51.100.7"
        yield "destination.port", 443


def _first(fields: Assignment, name: str) -> str:
    values = fields.get(name) or [""]
    return values[0] if isinstance(values[0], str) else ""


def _last_part(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _path(system: str, name: str) -> str:
    return f"C:\\Tools\\{name}" if system == "windows" else f"/usr/bin/{name}"


# --- where the event is kept -----------------------------------------------------------------------------------------


def _placed(
    fields: Assignment, category: str | None, index: Sequence[str], unchanged: Callable[[Assignment], bool]
) -> Assignment:
    """Name a data stream that the rule's index patterns take in; without one that fits, none is named."""
    patterns = IndexPatterns(index)
    for kind, dataset, namespace in _streams(index, category):
        wider = dict(fields)
        for name, value in (("type", kind), ("dataset", dataset), ("namespace", namespace)):
            wider.setdefault(f"data_stream.{name}", [value])
        named = _first(wider, "data_stream.dataset")
        for name, value in (("event.dataset", named), ("event.module", named.partition(".")[0])):
            if name not in wider and unchanged({**wider, name: [value]}):
                wider[name] = [value]
        if patterns.apply_to(told_by(wider)) and unchanged(wider):
            return wider
    return fields


def _streams(index: Sequence[str], category: str | None) -> Iterator[tuple[str, str, str]]:
    """Give data streams that the patterns take in, those that fit the event's category first."""
    found: list[tuple[str, str, str]] = []
    for pattern in (part.strip() for item in index for part in item.split(",")):
        kind, dash, rest = pattern.rpartition(":")[2].partition("-")
        if not dash or kind not in TYPES:
            continue
        dataset, dash, namespace = rest.rpartition("-")
        dataset = dataset if dash else rest
        if dataset.endswith((".", ".*")) or dataset in ("*", "endpoint*", "endpoint"):
            stem = dataset.rstrip("*").rstrip(".") or "example"
            dataset = f"{stem}.events.{category or 'process'}" if stem == "endpoint" else f"{stem}.{category or 'log'}"
        plain = namespace if dash and "*" not in namespace else "default"
        found.append((kind, dataset.replace("*", "").rstrip("."), plain))
    yield from sorted(found, key=lambda stream: (not (category and category in stream[1]), "endpoint" not in stream[1]))
    if not found and not index:
        yield "logs", f"endpoint.events.{category}" if category in _ENDPOINT else "example.log", "default"
