"""What does the sensor cost, and how fast is it? Many short processes, an idle host, and reverse shells.

    sudo python -m benchmarks.sensor_load                         # without rules (a recording), then the shipped ones
    sudo python -m benchmarks.sensor_load --rules FOLDER FILE     # these rules (given again: another set, on its own)
    sudo python -m benchmarks.sensor_load --none --shipped --rules FOLDER    # the three of them
    sudo python -m benchmarks.sensor_load --nice -15              # on a host whose other work would slow the load

Each repeat starts the real command for each set of rules, leaves it alone (idle), then starts 30,000 processes of
/bin/true, 1,550 a second, and reads the processor time of the command from /proc/PID/stat: user and system, of all its
threads, until it has caught up, over the seconds that the load took. So it counts what other work on this host brings
as well. Lost and late events are those that the command tells at its end; besides, every process of the load must be
among its events. The time of the BPF programs is counted by the kernel (`kernel.bpf_stats_enabled`, set back after).

Then, once for each set of rules, real shells: `bash -i` whose input and output are a connection to another machine (two
network namespaces, those of the lab), one after the other. The time is from just before the payload is started to its
alert being read from the standard output of the watch; an alert counts for a shell when its process, or the parent of
it, is the shell's. Results go to `out/sensor_load.json` and `.md`; figures are medians of the repeats.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.attacker import Listener
from lab.errors import LabError
from lab.namespaces import Pair, open_pair
from lab.payloads import Payload, load_payloads

from benchmarks.sensor_watch import Measured, Told
from maxspan.sources.document import flatten

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path(__file__).with_suffix(".c")
PAYLOAD = "bash_i_tcp"
#: A command that reads for so long less than this share of a core has caught up.
CALM_SECONDS, CALM_SHARE, CATCH_UP_SECONDS = 1.0, 0.05, 30.0
ALERT_SECONDS = 10.0
IDLE_GOAL, IDLE_MB_GOAL, LATENCY_GOAL = 0.2, 80.0, 1.0
LOAD_GOALS = {"none": 15.0}
RULES_GOAL = 25.0


@dataclass(slots=True)
class Run:
    """One run of a set of rules. Percentages are of one core; `idle` is nothing that we do, others may."""

    seconds: float = 0.0
    rate: float = 0.0
    cpu_seconds: float = 0.0
    cpu_percent: float = 0.0
    bpf_seconds: float = 0.0
    host_busy_percent: float = 0.0
    caught_up_seconds: float = 0.0
    idle_cpu_percent: float = 0.0
    idle_mb: float = 0.0
    load_mb: float = 0.0
    processes: int = 0
    seen: int = 0
    others_per_second: float = 0.0
    events: int = 0
    lost: int = 0
    late: int = 0
    status: int = 0


@dataclass(slots=True)
class Delays:
    """Seconds from the start of each shell to its first alert, and to the first of each rule that fired."""

    shells: int = 0
    without_alert: int = 0
    not_obtained: int = 0
    first: list[float] = field(default_factory=list)
    by_rule: dict[str, list[float]] = field(default_factory=dict)
    trouble: str = ""


@dataclass(slots=True)
class Setup:
    """A set of rules: None are none at all (a recording), an empty list those that are shipped."""

    name: str
    rules: list[str] | None
    count: int = 0
    runs: list[Run] = field(default_factory=list)
    delays: Delays | None = None

    @property
    def goal(self) -> float:
        return LOAD_GOALS.get(self.name, RULES_GOAL)


def make_load(folder: Path, nice: int) -> Callable[[int, float], tuple[int, float]]:
    """Give what starts the processes: a small C program, or, where there is no compiler, a loop in Python.

    `nice` is that of the load, not of the watch. It takes count and rate, and gives how many were started and the
    seconds until the last had ended."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        print("no C compiler: the load is made by Python", file=sys.stderr)
        program = [sys.executable, str(Path(__file__).with_name("sensor_load_python.py"))]
    else:
        program = [str(folder / "load")]
        subprocess.run([compiler, "-O2", "-o", *program, str(SOURCE)], check=True)

    def load(count: int, rate: float) -> tuple[int, float]:
        command = ["nice", "-n", str(nice), *program, str(count), str(rate)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        started, seconds = done.stdout.split()
        return int(started), float(seconds)

    return load


def host_ticks() -> tuple[int, int]:
    """Give the ticks of all processors until now, and those of them that nothing ran."""
    ticks = [int(word) for word in Path("/proc/stat").read_text("ascii").splitlines()[0].split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]


def run_load(
    setup: Setup, load: Callable[[int, float], tuple[int, float]], count: int, rate: float, idle: float
) -> Run:
    """Start the command, leave it alone, load the host, and wait until the command has caught up."""
    one = Run()
    # not below /tmp, which the sensor watches
    with tempfile.TemporaryDirectory(prefix="maxspan-bench-", dir="/var/lib") as folder:
        began = time.monotonic()
        watch = Measured(setup.rules, Path(folder))
        try:
            if idle:
                before = watch.cpu_seconds()
                time.sleep(idle)
                one.idle_cpu_percent = 100 * (watch.cpu_seconds() - before) / idle
            one.idle_mb = watch.rss_bytes() / 1e6
            before, bpf, ticks = watch.cpu_seconds(), watch.bpf_seconds(), host_ticks()
            one.processes, one.seconds = load(count, rate)
            busy = [now - then for now, then in zip(host_ticks(), ticks, strict=True)]
            one.caught_up_seconds = catch_up(watch)
            one.cpu_seconds = watch.cpu_seconds() - before
            one.bpf_seconds = watch.bpf_seconds() - bpf
            one.load_mb = watch.peak_bytes() / 1e6
        finally:
            told = watch.end()
        # three events for each process of the load; the rest is what others do on this host
        one.others_per_second = max(0, told.events - 3 * one.processes) / (time.monotonic() - began)
        one.seen = executed(watch, told)
    one.rate = one.processes / one.seconds
    one.cpu_percent = 100 * one.cpu_seconds / one.seconds
    one.host_busy_percent = 100 * (1 - busy[1] / max(busy[0], 1))
    one.events, one.lost, one.late, one.status = told.events, told.lost, told.late, told.status
    if setup.rules is not None:
        setup.count = rules_of(told.text)
    return one


def catch_up(watch: Measured) -> float:
    """Wait until the command has next to nothing to do; give how long that took."""
    begin = time.monotonic()
    before = watch.cpu_seconds()
    while time.monotonic() < begin + CATCH_UP_SECONDS:
        time.sleep(CALM_SECONDS)
        now = watch.cpu_seconds()
        if now - before < CALM_SHARE * CALM_SECONDS:
            break
        before = now
    return time.monotonic() - begin - CALM_SECONDS


def executed(watch: Measured, told: Told) -> int:
    """Count the programs that it saw being executed: in the events of a recording those of the load only."""
    if watch.recorded is None:
        return told.kinds.get("exec", 0)
    wanted = re.compile(rb'"action":"exec"')
    with_name = b'"command_line":"/bin/true"'
    with watch.recorded.open("rb") as lines:
        return sum(with_name in line and wanted.search(line) is not None for line in lines)


def rules_of(text: str) -> int:
    found = re.search(r"watching through \w+: ([\d,]+) rules", text)
    return int(found[1].replace(",", "")) if found else 0


def measure_delays(setup: Setup, shells: int) -> Delays:
    """Run the shells, one after the other; each is given up after some seconds without an alert."""
    out = Delays()
    payload = next(payload for payload in load_payloads() if payload.name == PAYLOAD)
    with contextlib.ExitStack() as stack:
        # the machines lay their own files over /var: what they keep must not be there
        machines, other = (
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="maxspan-bench-", dir=place)))
            for place in ("/tmp", "/var/lib")
        )
        machines.chmod(0o755)
        watch = Measured(setup.rules, other)
        stack.callback(watch.end)
        try:
            with open_pair(machines) as pair:
                for _ in range(shells):
                    one_shell(watch, pair, payload, out)
        except (LabError, OSError) as error:
            out.trouble = f"the machines of the lab do not work: {error}"
    return out


def one_shell(watch: Measured, pair: Pair, payload: Payload, out: Delays) -> None:
    """Run one shell, ask it for `id`, and look for its alerts."""
    listener = Listener(payload, pair.peer, pair.folder)
    seen = len(watch.alerts)
    try:
        begin = time.time()
        program = pair.victim.spawn(*payload.command(pair.victim.home, pair.folder))
        told = listener.converse(f"maxspan{time.monotonic_ns()}")
    finally:
        listener.close()
    out.shells += 1
    out.not_obtained += not told.shell
    by_rule: dict[str, float] = {}
    deadline, settled = time.time() + ALERT_SECONDS, time.time() + 0.5
    while time.time() < deadline and (not by_rule or time.time() < settled):
        time.sleep(0.02)
        for when, alert in watch.alerts[seen:]:
            if program.host_pid in pids_of(alert):
                by_rule.setdefault(alert["kibana.alert.rule.name"], when - begin)
    pair.end_all()
    for name, delay in by_rule.items():
        out.by_rule.setdefault(name, []).append(delay)
    if by_rule:
        out.first.append(min(by_rule.values()))
    else:
        out.without_alert += 1


def pids_of(alert: dict[str, Any]) -> set[Any]:
    fields = flatten(alert)
    return {*fields.get("process.pid", ()), *fields.get("process.parent.pid", ())}


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest value that at least this share of all reach (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def figures(setup: Setup) -> dict[str, Any]:
    """Give the medians of the runs (losses: the sum), the delays, and whether the goals were reached."""
    told: dict[str, Any] = {"rules": setup.count, "repeats": len(setup.runs)}
    for name in (
        "rate",
        "cpu_percent",
        "cpu_seconds",
        "bpf_seconds",
        "idle_cpu_percent",
        "idle_mb",
        "load_mb",
        "others_per_second",
    ):
        told[name] = round(statistics.median(getattr(run, name) for run in setup.runs), 3)
    spread = sorted(run.cpu_percent for run in setup.runs)
    told["cpu_percent_from_to"] = [round(spread[0], 1), round(spread[-1], 1)]
    told["host_busy_percent"] = round(statistics.median(run.host_busy_percent for run in setup.runs))
    told["lost"], told["late"] = sum(run.lost for run in setup.runs), sum(run.late for run in setup.runs)
    told["not_seen"] = sum(max(0, run.processes - run.seen) for run in setup.runs)
    told["cpu_goal_percent"] = setup.goal
    told["cpu_reached"] = told["cpu_percent"] <= setup.goal
    told["nothing_lost"] = not told["lost"] and not told["not_seen"]
    told["idle_reached"] = told["idle_cpu_percent"] <= IDLE_GOAL and told["idle_mb"] <= IDLE_MB_GOAL
    told["runs"] = [asdict(run) for run in setup.runs]
    if setup.delays is not None:
        told["delays"] = delay_figures(setup.delays)
    return told


def delay_figures(delays: Delays) -> dict[str, Any]:
    def both(values: Sequence[float]) -> dict[str, Any]:
        return {
            "shells": len(values),
            "median": round(statistics.median(values), 3),
            "p99": round(percentile(values, 0.99), 3),
        }

    told: dict[str, Any] = {
        name: getattr(delays, name) for name in ("shells", "without_alert", "not_obtained", "trouble")
    }
    if delays.first:
        told["first"] = both(delays.first)
        told["by_rule"] = {name: both(values) for name, values in sorted(delays.by_rule.items())}
    told["reached"] = bool(delays.first) and not delays.without_alert and told["first"]["p99"] <= LATENCY_GOAL
    return told


def markdown(told: dict[str, dict[str, Any]], count: int) -> str:
    """Give two tables: load and idle, and the shells."""
    lines = [
        f"| rules | {count:,} processes at | of one core (lowest, highest) | BPF programs, all of the host "
        "| lost, late, not seen | resident, highest | idle | resident | events of others |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in told.items():
        low, high = one["cpu_percent_from_to"]
        cells = [f"{name} ({one['rules']})" if one["rules"] else name, f"{one['rate']:,.0f}/s"]
        cells.append(f"{one['cpu_percent']:.1f} % ({low}, {high}); goal {one['cpu_goal_percent']:g} %")
        cells.append(f"{one['bpf_seconds']:.2f} s")
        cells.append(f"{one['lost']:,}, {one['late']:,}, {one['not_seen']:,}")
        cells += [f"{one['load_mb']:.0f} MB", f"{one['idle_cpu_percent']:.2f} %", f"{one['idle_mb']:.0f} MB"]
        cells.append(f"{one['others_per_second']:.0f}/s")
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| rules | alert for a shell | shells | median | p99 |", "|---|---|---|---|---|"]
    for name, one in told.items():
        delays = one.get("delays")
        if delays is None:
            continue
        if delays["trouble"] or "first" not in delays:
            lines.append(f"| {name} | {delays['trouble'] or 'none came'} | {delays['shells']} | | |")
            continue
        for what, values in (("the first", delays["first"]), *delays["by_rule"].items()):
            shells = f"{values['shells']} of {delays['shells']}"
            lines.append(f"| {name} | {what} | {shells} | {values['median']:.2f} s | {values['p99']:.2f} s |")
    return "\n".join(lines) + "\n"


def setups_of(options: argparse.Namespace) -> list[Setup]:
    """Read what is to be measured; without a choice no rules, and the shipped ones."""
    anything = options.none or options.shipped or options.rules
    out = [Setup("none", None)] if options.none or not anything else []
    out += [Setup("shipped", [])] if options.shipped or not anything else []
    for paths in options.rules:
        name = ", ".join("/".join(Path(path).resolve().parts[-2:]) for path in paths)
        out.append(Setup(name, [str(Path(path).resolve()) for path in paths]))
    return out


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sensor_load", description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, default=30_000)
    parser.add_argument("--rate", type=float, default=1550.0, help="processes a second")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--none", action="store_true", help="without rules: maxspan record")
    parser.add_argument("--shipped", action="store_true", help="with the rules that are shipped")
    parser.add_argument("--rules", nargs="+", action="append", default=[], metavar="PATH", help="with these rules")
    parser.add_argument("--idle", type=float, default=20.0, metavar="SECONDS", help="how long it is left alone")
    parser.add_argument("--shells", type=int, default=50, help="reverse shells; 0 leaves them out")
    parser.add_argument("--nice", type=int, default=0, help="of the load, not of the watch")
    parser.add_argument("--out", type=Path, default=ROOT / "out", metavar="FOLDER")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("run as root: the sensor and the network namespaces need it", file=sys.stderr)
        return 2
    if min(options.processes, options.rate, options.repeats) <= 0:
        parser.error("--processes, --rate and --repeats must be positive")
    setups = setups_of(options)
    with tempfile.TemporaryDirectory(prefix="maxspan-bench-", dir="/var/lib") as folder:
        load = make_load(Path(folder), options.nice)
        for number in range(options.repeats):
            for setup in setups:
                run = run_load(setup, load, options.processes, options.rate, options.idle)
                setup.runs.append(run)
                print(
                    f"{setup.name} {number + 1}/{options.repeats}: {run.rate:,.0f}/s, {run.cpu_percent:.1f} % of a core"
                    f" ({run.cpu_seconds:.2f} s), BPF {run.bpf_seconds:.2f} s, {run.lost} lost, {run.late} late,"
                    f" {run.seen:,} of {run.processes:,} seen, {run.load_mb:.0f} MB; idle {run.idle_cpu_percent:.2f} %,"
                    f" {run.idle_mb:.0f} MB; host busy {run.host_busy_percent:.0f} %",
                    file=sys.stderr,
                    flush=True,
                )
    for setup in setups:
        if setup.rules is not None and options.shells:
            setup.delays = measure_delays(setup, options.shells)
    told = {setup.name: figures(setup) for setup in setups}
    text = markdown(told, options.processes)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    host = {"kernel": platform.release(), "machine": platform.machine(), "processors": os.cpu_count()}
    document = {**host, "load_at_end": os.getloadavg(), "processes": options.processes, "setups": told}
    (options.out / "sensor_load.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    (options.out / "sensor_load.md").write_text(text, "utf-8")
    reached = all(
        one["nothing_lost"]
        and one["cpu_reached"]
        and one["idle_reached"]
        and one.get("delays", {}).get("reached", True)
        for one in told.values()
    )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
