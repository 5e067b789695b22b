"""The state of a stream as bytes and back: what waits, what is unfinished, what has been counted.

A snapshot is plain values (MessagePack, never code) behind a line that names its version and a checksum. A rule is
known by its content, so that what it had begun goes on only if it still means the same.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b
from itertools import count
from typing import Any, Final

import msgspec

from maxspan.engine.detector import Counters
from maxspan.engine.kernel.compiled import CompiledRule
from maxspan.engine.kernel.events import Candidate
from maxspan.engine.kernel.gathered import Gathered, Limited, Sampled
from maxspan.engine.kernel.lanes import Lane, Lanes
from maxspan.engine.kernel.machine import Completed, Hit, Machine, State
from maxspan.engine.kernel.plain import exact, plain
from maxspan.engine.kernel.skipping import EVERY_HOST, Skipping
from maxspan.engine.kernel.survivors import LineStore, Survivor
from maxspan.errors import Problem, SourceError
from maxspan.languages import plan
from maxspan.languages.eql.printer import format_query

VERSION: Final = 2
_NAME: Final = b"maxspan snapshot "
_DIGEST_BYTES: Final = 16
_COUNTS: Final = ("events", "bytes", "unreadable", "without_timestamp", "late", "evicted", "matches")

Options = dict[str, Any]


class BadSnapshot(SourceError):
    """Bytes from which no stream can go on; `code` is one of docs/errors.md."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"[{code}] {message}")
        self.code = code


# --- bytes -----------------------------------------------------------------------------------------------------------


def sealed(body: Mapping[str, Any]) -> bytes:
    """Give plain values as a snapshot."""
    data = msgspec.msgpack.encode(body)
    return b"%b%d\n%b%b" % (_NAME, VERSION, blake2b(data, digest_size=_DIGEST_BYTES).digest(), data)


def opened(snapshot: bytes, options: Options) -> dict[str, Any]:
    """Give the values of a snapshot back. Raises BadSnapshot, also when it was made with other options."""
    head, newline, rest = snapshot.partition(b"\n")
    version = head.removeprefix(_NAME)
    if not newline or version == head or not version.isdigit():
        raise BadSnapshot("snapshot-damaged", "this is no snapshot of a stream")
    if int(version) != VERSION:
        raise BadSnapshot(
            "snapshot-version", f"the snapshot is of version {int(version)}, and this one reads {VERSION}"
        )
    digest, data = rest[:_DIGEST_BYTES], rest[_DIGEST_BYTES:]
    if blake2b(data, digest_size=_DIGEST_BYTES).digest() != digest:
        raise BadSnapshot("snapshot-damaged", "the snapshot is cut off or damaged")
    body = msgspec.msgpack.decode(data)
    made_with = body["options"] if isinstance(body, dict) else None
    if made_with != options:
        raise BadSnapshot("snapshot-options", f"the snapshot was made with {made_with}, not with {options}")
    assert isinstance(body, dict)
    return body


def fingerprint(rule: CompiledRule) -> bytes:
    """Give what stands for the meaning of a rule: its id, query, fields and index patterns."""
    source = rule.rule
    assert source.plan is not None
    names = rule.names
    content = (source.id, format_query(source.plan), names.timestamp, names.tiebreaker, names.category, source.index)
    return blake2b(msgspec.msgpack.encode(content), digest_size=_DIGEST_BYTES).digest()


def _numbered(rules: Iterable[CompiledRule]) -> list[tuple[CompiledRule, tuple[bytes, int]]]:
    """Give rules with what they are known by; the same rule twice is told apart by its order."""
    seen: Counter[bytes] = Counter()
    out = []
    for rule in rules:
        mark = fingerprint(rule)
        out.append((rule, (mark, seen[mark])))
        seen[mark] += 1
    return out


# --- writing ---------------------------------------------------------------------------------------------------------


class StateWriter:
    """Turns state into plain values; events and hits that several rules share are written once."""

    def __init__(
        self,
        rules: Iterable[CompiledRule],
        lines: LineStore,
        hits: Callable[[Candidate, int], Iterable[tuple[CompiledRule, Hit]]],
    ) -> None:
        self._lines = lines
        self._of_candidate = hits
        self._rules = list(rules)
        self._survivors: dict[int, int] = {}
        self._hits: dict[int, int] = {}
        self._kept: list[object] = []  # so that no id is used twice
        self._survivor_rows: list[Any] = []
        self._hit_rows: list[Any] = []

    def body(self, options: Options, counters: Counters, lanes: Lanes, gathered: Gathered) -> dict[str, Any]:
        """Give everything."""
        out = {
            "options": options,
            "rules": [[*mark, rule.rule.id, rule.rule.name] for rule, mark in _numbered(self._rules)],
            "counts": {name: getattr(counters, name) for name in _COUNTS},
            "by_kind": dict(counters.by_kind),
            "problems": [replace(problem, path=_printable(problem.path)) for problem in counters.problems],
            "late_position": lanes.late_position,
            "lanes": {name: self._lane(lane) for name, lane in lanes.lanes.items()},
            "limited": [
                [rule.number, plain(item.ordinal), item.timestamp_ns, self._survivor(item.survivor)]
                for rule, items in gathered.limited.items()
                for item in items
            ],
            "samples": [
                [rule.number, *self._sample(item)] for rule, items in gathered.samples.items() for item in items
            ],
        }
        return {**out, "survivors": self._survivor_rows, "hits": self._hit_rows}

    def _lane(self, lane: Lane) -> list[Any]:
        waiting = []
        for _, _, item, more in sorted(lane.heap, key=lambda entry: entry[:2]):
            found = [(more, item)] if isinstance(item, Hit) else self._of_candidate(item, more)
            waiting += [[rule.number, self._hit(hit)] for rule, hit in found]
        machines = [[rule.number, self._state(machine)] for rule, machine in lane.machines.items()]
        return [lane.latest_ns, lane.passed_ns, waiting, machines]

    def _state(self, machine: Machine) -> list[Any]:
        state = machine.state()
        return [
            [
                [plain(key), [[[self._hit(hit) for hit in chain] for chain in chains] for chains in stages]]
                for key, stages in state.pending.items()
            ],
            [[plain(key), [plain(ordinal) for ordinal in found]] for key, found in state.untils.items()],
            [[number, [[plain(key), times] for key, times in seen.items()]] for number, seen in state.seen.items()],
            [
                [[None if hit is None else self._hit(hit) for hit in sequence.hits], plain(sequence.key)]
                for sequence in state.waiting
            ],
            [[end_ns, plain(key)] for end_ns, key in state.ends],
            state.next_sweep,
        ]

    def _hit(self, hit: Hit) -> int:
        number = self._hits.get(id(hit))
        if number is None:
            number = self._hits[id(hit)] = len(self._hit_rows)
            self._kept.append(hit)
            self._hit_rows.append(
                [
                    plain(hit.ordinal),
                    self._survivor(hit.survivor),
                    [[stage, [plain(key) for key in keys]] for stage, keys in hit.positive],
                    [[stage, [plain(key) for key in keys]] for stage, keys in hit.missing],
                    [plain(key) for key in hit.until],
                ]
            )
        return number

    def _survivor(self, one: Survivor) -> int:
        number = self._survivors.get(id(one))
        if number is None:
            number = self._survivors[id(one)] = len(self._survivor_rows)
            self._kept.append(one)
            self._survivor_rows.append(
                [self._lines.read(one.kept), one.position, os.fsencode(one.path), one.line, one.index, one.id]
            )
        return number

    def _sample(self, item: Sampled) -> list[Any]:
        keys = [[stage, plain(key)] for stage, key in item.keys]
        return [self._survivor(item.survivor), item.timestamp_ns, keys]


def _printable(path: str) -> str:
    """Give a path, whose name may be any bytes, as text."""
    return path.encode(errors="backslashreplace").decode()


# --- reading ---------------------------------------------------------------------------------------------------------


class StateReader:
    """Puts state back where it was; what belonged to rules that are not there any more is left out and noted."""

    def __init__(self, body: dict[str, Any], rules: Iterable[CompiledRule], skipping: Skipping | None) -> None:
        self._body = body
        self._skipping = skipping
        by_mark = {mark: rule for rule, mark in _numbered(rules)}
        self._known = [by_mark.get((row[0], row[1])) for row in body["rules"]]
        self._ids = {rule.rule.id for rule in by_mark.values()}
        self._dropped: set[int] = set()
        self._survivors = [
            Survivor(kept, position, os.fsdecode(path), line, index, id_)
            for kept, position, path, line, index, id_ in body["survivors"]
        ]
        self._hits = [self._hit(row) for row in body["hits"]]

    def restore(self, counters: Counters, lanes: Lanes, gathered: Gathered, *, most_keys: int) -> None:
        """Put everything into a new stream."""
        body = self._body
        for name in _COUNTS:
            setattr(counters, name, body["counts"][name])
        counters.by_kind.update(body["by_kind"])
        counters.problems += msgspec.convert(body["problems"], list[Problem])
        lanes.late_position = body["late_position"]
        order = count()
        for name, (latest_ns, passed_ns, waiting, machines) in body["lanes"].items():
            lane = lanes.at(name, own_clock="\0" in name and name != EVERY_HOST)
            lane.latest_ns, lane.passed_ns = latest_ns, passed_ns
            for number, hit in waiting:
                if rule := self._rule(number):
                    lane.push(self._hits[hit].ordinal, next(order), self._hits[hit], rule)
                    self._open(rule, self._hits[hit], name)
            for number, state in machines:
                if rule := self._rule(number):
                    assert isinstance(rule.query, plan.SequenceQuery)
                    machine = lane.machines[rule] = Machine(rule.query, most_keys=most_keys)
                    held = self._state(state)
                    machine.resume(held)
                    if lane.scanned is not None:
                        lane.scanned.attended = True
                    for one in held.hits():
                        self._open(rule, one, name)
        lanes.go_on(order)
        for number, ordinal, timestamp_ns, survivor in body["limited"]:
            if rule := self._rule(number):
                gathered.limit(rule, Limited(exact(ordinal), timestamp_ns, self._survivors[survivor]))
        for number, survivor, timestamp_ns, keys in body["samples"]:
            if rule := self._rule(number):
                marks = [(stage, exact(key)) for stage, key in keys]
                gathered.sampled(rule, Sampled(self._survivors[survivor], timestamp_ns, marks))
        self._note(counters)

    def _rule(self, number: int) -> CompiledRule | None:
        rule = self._known[number]
        if rule is None:
            self._dropped.add(number)
        return rule

    def _open(self, rule: CompiledRule, hit: Hit, lane: str) -> None:
        """Let nothing be passed over that may continue a hit."""
        if self._skipping is None:
            return
        by_number = dict(hit.positive)
        for role in rule.roles:
            if role.kind == "positive":
                keys = [key for number in role.numbers for key in by_number.get(number, ())]
                if keys:
                    self._skipping.opened(role, lane, hit.time_ns, keys, in_turn=False)

    def _note(self, counters: Counters) -> None:
        for number in sorted(self._dropped):
            _, _, id_, name = self._body["rules"][number]
            what = "has changed" if id_ in self._ids else "is gone"
            message = f"the rule {what} since the snapshot: what it had begun is forgotten"
            counters.note(
                Problem("snapshot-rule", message, "warning", rule_id=id_, rule_name=name), keep=len(self._known)
            )

    def _hit(self, row: list[Any]) -> Hit:
        ordinal, survivor, positive, missing, until = row
        return Hit(
            exact(ordinal),
            self._survivors[survivor],
            [(stage, [exact(key) for key in keys]) for stage, keys in positive],
            [(stage, [exact(key) for key in keys]) for stage, keys in missing],
            [exact(key) for key in until],
        )

    def _state(self, row: list[Any]) -> State:
        pending, untils, seen, waiting, ends, next_sweep = row
        hits = self._hits
        return State(
            {
                exact(key): [[tuple(hits[hit] for hit in chain) for chain in chains] for chains in stages]
                for key, stages in pending
            },
            {exact(key): [exact(ordinal) for ordinal in found] for key, found in untils},
            {number: {exact(key): times for key, times in keys} for number, keys in seen},
            [
                Completed(tuple(None if hit is None else hits[hit] for hit in chosen), exact(key))
                for chosen, key in waiting
            ],
            [(end_ns, exact(key)) for end_ns, key in ends],
            next_sweep,
        )
