"""What every event has: time, `event.*`, and the parts that are the same for all events of a dataset."""

from __future__ import annotations

import secrets

from msgspec.json import encode

from maxspan.sensor.documents.timestamps import Timestamps
from maxspan.sensor.machine import Machine

PROCESS = "endpoint.events.process"
NETWORK = "endpoint.events.network"
FILE = "endpoint.events.file"
LEDGER = "maxspan.ledger"


class Action:
    """One `event.action` with its category and types, as ready pieces around what varies."""

    __slots__ = ("after", "before")

    def __init__(self, envelope: Envelope, action: str, category: str, type_: str, dataset: str, kind: str) -> None:
        module = dataset.partition(".")[0]
        self.before = b'","event":{"kind":%b,"category":[%b],"type":[%b],"action":%b,"module":%b,"dataset":%b' % tuple(
            encode(text) for text in (kind, category, type_, action, module, dataset)
        )
        self.after = envelope.suffix(dataset)


class Envelope:
    """Numbers the events of one run and writes their beginnings.

    `event.id` is the number with a random prefix of the run, `event.sequence` the number itself: it decides the order
    of events with the same time. `created_ns` is the time that `event.created` tells; the caller renews it.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._run = secrets.token_hex(4).encode()
        self._suffixes: dict[str, bytes] = {}
        self._timestamps = Timestamps()
        self._created = b""
        self.sequence = 0

    def suffix(self, dataset: str) -> bytes:
        if dataset not in self._suffixes:
            self._suffixes[dataset] = self._machine.suffix(dataset)
        return self._suffixes[dataset]

    def action(self, action: str, category: str, type_: str, dataset: str = PROCESS, *, kind: str = "event") -> Action:
        return Action(self, action, category, type_, dataset, kind)

    def created(self, time_ns: int) -> None:
        """Set the time at which the events that follow are made."""
        self._created = Timestamps().iso(time_ns)

    def begin(self, time_ns: int, action: Action, extra: bytes = b"") -> bytes:
        """Give `{"@timestamp":...,"event":{...},"agent":...,"host":{...}`; `extra` are more members of `event`."""
        self.sequence += 1
        sequence = self.sequence
        return b'{"@timestamp":"%b%b,"created":"%b","id":"%b%010x","sequence":%d%b}%b' % (
            self._timestamps.iso(time_ns),
            action.before,
            self._created,
            self._run,
            sequence,
            sequence,
            extra,
            action.after,
        )
