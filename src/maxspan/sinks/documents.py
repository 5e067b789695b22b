"""Alerts as JSON documents: one a line, or one array."""

from __future__ import annotations

from maxspan.alerts.encode import to_safe_json
from maxspan.alerts.group import AlertGroup
from maxspan.sinks.output import Output


class NdjsonSink:
    """One alert document a line, building blocks (unless `blocks` is false) before their shell."""

    def __init__(self, output: Output, *, blocks: bool = True) -> None:
        self._output = output
        self._blocks = blocks

    def write(self, group: AlertGroup) -> None:
        documents = group.documents if self._blocks else (group.head,)
        self._output.write(b"".join(to_safe_json(document) + b"\n" for document in documents))
        self._output.flush()

    def close(self) -> None:
        self._output.flush()


class JsonArray:
    """An array of JSON values, one a line, written as they come."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._before = b"[\n"

    def add(self, value: object) -> None:
        self._output.write(self._before + to_safe_json(value))
        self._before = b",\n"

    def close(self) -> None:
        self._output.write(b"[]\n" if self._before == b"[\n" else b"\n]\n")
        self._output.flush()


class JsonSink:
    """All alert documents as one JSON array, without building blocks if `blocks` is false."""

    def __init__(self, output: Output, *, blocks: bool = True) -> None:
        self._array = JsonArray(output)
        self._blocks = blocks

    def write(self, group: AlertGroup) -> None:
        for document in group.documents if self._blocks else (group.head,):
            self._array.add(document)

    def close(self) -> None:
        self._array.close()
