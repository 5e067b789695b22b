"""Write realistic ECS endpoint events: `python -m benchmarks.generate out.ndjson --events 400000`.

The same options give the same bytes. Beside the events stands `<out>.manifest.json`: what is in them, and how many
matches of the founding rule were planted. With `--parquet` the same events are also written as Parquet.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import accumulate, count
from pathlib import Path
from typing import Any

from benchmarks.documents import EPOCH_US, Host, Process, Writer
from benchmarks.plant import DECOYS, Step, attack, decoy
from benchmarks.programs import PROGRAMS, ROLES, Program
from benchmarks.values import Values

#: Mean time between the starts of two processes anywhere in the fleet, microseconds.
_MEAN_GAP_US = 18_000
_PARENTS_KEPT = 60
#: Share of starts that repeat a command of the host, of which so many are remembered. In recordings of ordinary work,
#: a minute each, three of five commands are repetitions already; hosts that run for days repeat more.
_REPEATED = 0.8
_REPEATED_HARD = 0.05
_COMMANDS_KEPT = 300


class Fleet:
    """The hosts and the queue of what is about to happen on them, in the order of time."""

    def __init__(self, *, hosts: int, seed: int, hard: bool) -> None:
        self.random = random.Random(seed)
        self.values = Values(self.random, unique=0.9 if hard else 0.15)
        self.writer = Writer(self.random)
        self.hosts = [Host(n, ROLES[n % len(ROLES)], self.random, self.values) for n in range(hosts)]
        self.counts: Counter[str] = Counter()
        self.planted = 0
        self._shells: set[str] = set()
        self._hard = hard
        self._queue: list[tuple[int, int, Host, tuple[Any, ...]]] = []
        self._order = count()
        self._weights = {
            role.name: list(accumulate(p.weight * (4 if p.name in role.favourites else 1) for p in PROGRAMS))
            for role in ROLES
        }

    def push(self, us: int, host: Host, *what: Any) -> None:
        heappush(self._queue, (us, next(self._order), host, what))

    def plant(self, us: int, number: int) -> None:
        """Plan one attack and, on another moment, one decoy. An attack counts once its shell has been written."""
        host, other = self.random.choice(self.hosts), self.random.choice(self.hosts)
        steps = list(attack(host, number))
        self._shells.add([step[3].entity_id for step in steps if step[2] == "exec"][-1])
        self._push_steps(us, host, steps)
        self._push_steps(us + 1_000, other, list(decoy(other, number, DECOYS[number % len(DECOYS)])))

    def _push_steps(self, us: int, host: Host, steps: list[Step]) -> None:
        for delay, category, action, process, ip, port in steps:
            self.push(us + delay, host, category, action, process, *((ip, port) if category == "network" else ()))

    def start_process(self, us: int) -> None:
        """Let one program run somewhere: fork, exec, what it does to files and the network, its end."""
        host = self.random.choice(self.hosts)
        program, args = self._command(host)
        parent = self.random.choice(host.parents)
        executable = program.executable
        if self._hard and self.random.random() < 0.5:
            executable = f"/var/lib/docker/overlay2/{self.values.hex()}/merged{executable}"
        forked, process = host.child(parent, program.name, executable, args)
        chance = self.random.random
        life_us = int(self.random.expovariate(1 / (20_000 if program.files < 1 else 400_000))) + 800
        if chance() < 0.9:
            self.push(us, host, "process", "fork", forked)
        self.push(us + 300 + int(chance() * 400), host, "process", "exec", process)
        self._touch_files(us, life_us, host, process, program)
        if program.connections:
            self._connect(us, life_us, host, process, program)
        if chance() < 0.97:
            self.push(us + life_us + 800, host, "process", "end", process)
        if program.spawns:
            host.parents.append(process)
            if len(host.parents) > _PARENTS_KEPT:
                host.parents.pop(len(host.daemons) + int(chance() * (_PARENTS_KEPT - len(host.daemons))))

    def _command(self, host: Host) -> tuple[Program, list[str]]:
        """Choose what runs: mostly something that has run on the host before, as timers, probes and scripts do."""
        known = host.commands
        if known and self.random.random() < (_REPEATED_HARD if self._hard else _REPEATED):
            return known[int(self.random.random() ** 2 * len(known))]
        program = self.random.choices(PROGRAMS, cum_weights=self._weights[host.role.name])[0]
        command = program, self.values.args(self.random.choice(program.args))
        if len(known) < _COMMANDS_KEPT:
            known.append(command)
        else:
            known[self.random.randrange(_COMMANDS_KEPT)] = command
        return command

    def _often(self, mean: float) -> int:
        return int(self.random.expovariate(1 / (2.4 * mean)) + 0.5) if mean else 0

    def _touch_files(self, us: int, life_us: int, host: Host, process: Process, program: Program) -> None:
        for _ in range(self._often(program.files)):
            path = self.values.path() if self.random.random() < 0.6 else self.values["temporary"]
            action = self.random.choices(("creation", "rename", "deletion"), (60, 22, 18))[0]
            original = f"{path}.{self.values.hex()[:6]}" if action == "rename" else ""
            self.push(us + int(self.random.random() * life_us) + 700, host, "file", action, process, path, original)

    def _connect(self, us: int, life_us: int, host: Host, process: Process, program: Program) -> None:
        for _ in range(self._often(program.connections)):
            ip = "127.0.0.1" if self.random.random() < 0.2 else self.values.ip()
            port = int(self.values["port"])
            accepted = program.name in ("sshd", "java", "node", "node_exporter") and self.random.random() < 0.6
            begin = us + int(self.random.random() * life_us) + 700
            self.push(
                begin, host, "network", "connection_accepted" if accepted else "connection_attempted", process, ip, port
            )
            if self.random.random() < 0.6:
                self.push(
                    begin + int(self.random.random() * life_us),
                    host,
                    "network",
                    "disconnect_received",
                    process,
                    ip,
                    port,
                )

    def until(self, us: int) -> Iterator[bytes]:
        """Give the lines of what happens up to a moment."""
        queue = self._queue
        while queue and queue[0][0] <= us:
            when, _, host, (category, *rest) = heappop(queue)
            self.counts[category] += 1
            if rest[0] == "exec" and rest[1].entity_id in self._shells:
                self.planted += 1
            yield getattr(self.writer, category)(host, when, *rest)


def generate(
    *, events: int, hosts: int = 20, seed: int = 1, hard: bool = False, attacks: int = 0
) -> tuple[Iterator[bytes], Fleet]:
    """Give `events` lines (without newline) in the order of time, and the fleet that counts them.

    `attacks` true positives of the founding rule, and as many decoys, are spread over the whole set.
    """
    fleet = Fleet(hosts=hosts, seed=seed, hard=hard)
    return _lines(fleet, events, attacks), fleet


def _lines(fleet: Fleet, events: int, attacks: int) -> Iterator[bytes]:
    now, written, planted = EPOCH_US, 0, 0
    every = max(1, int(events * 0.9) // max(1, attacks))
    while written < events:
        now += int(fleet.random.expovariate(1 / _MEAN_GAP_US)) + 1
        if planted < attacks and written >= planted * every:
            fleet.plant(now, planted)
            planted += 1
        fleet.start_process(now)
        for line in fleet.until(now):
            if written == events:
                return
            written += 1
            yield line


def write(path: Path, *, events: int, hosts: int, seed: int, hard: bool, attacks: int) -> dict[str, Any]:
    """Write one set as NDJSON and its manifest; give the manifest."""
    lines, fleet = generate(events=events, hosts=hosts, seed=seed, hard=hard, attacks=attacks)
    size = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb", buffering=1 << 20) as file:
        for line in lines:
            size += file.write(line)
            size += file.write(b"\n")
    manifest = {
        "events": events,
        "bytes": size,
        "bytes_per_event": round(size / max(1, events)),
        "hosts": hosts,
        "seed": seed,
        "hard": hard,
        "planted_reverse_shells": fleet.planted,
        "by_category": dict(fleet.counts.most_common()),
    }
    path.with_name(path.name + ".manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def write_parquet(ndjson: Path) -> Path:
    """Write the same events as Parquet beside the NDJSON: one column a top-level object, timestamps as timestamps."""
    import duckdb

    out = ndjson.with_suffix(".parquet")
    connection = duckdb.connect()
    connection.execute(
        f"COPY (SELECT * FROM read_json({_quoted(ndjson)}, format='newline_delimited', sample_size=50000)) "
        f"TO {_quoted(out)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 50000)"
    )
    return out


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate", description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="the NDJSON file to write")
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hard", action="store_true", help="mostly unique arguments, paths and executables")
    parser.add_argument("--attacks", type=int, help="reverse shells to plant (default: 1 in 8,000 events)")
    parser.add_argument("--parquet", action="store_true", help="write <out>.parquet as well")
    args = parser.parse_args()
    if args.events < 1 or args.hosts < 1:
        parser.error("--events and --hosts take numbers from 1")
    begin = time.perf_counter()
    attacks = max(1, args.events // 8_000) if args.attacks is None else args.attacks
    manifest = write(args.out, events=args.events, hosts=args.hosts, seed=args.seed, hard=args.hard, attacks=attacks)
    print(json.dumps(manifest), f"{time.perf_counter() - begin:.1f} s", file=sys.stderr)
    if args.parquet:
        print(write_parquet(args.out), file=sys.stderr)


if __name__ == "__main__":
    main()
