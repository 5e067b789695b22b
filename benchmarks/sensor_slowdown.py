"""How much slower is a build, or the installation of packages, while `maxspan watch` looks on?

    sudo python -m benchmarks.sensor_slowdown                      # 9 rounds of both jobs, with the shipped rules
    sudo python -m benchmarks.sensor_slowdown --rounds 15 -r RULES # other rules

Each round runs a job three times: without a watch, under a watch, and without one once more, in an order that changes
from round to round. The third run tells what noise there is: its ratio to the first would be 1 on a quiet machine.
Figures are medians of the ratios of a round, of wall time and of processor time of the job (user and system, of all its
processes; a processor that others use costs wall time, but hardly processor time). `--nice -15` keeps other work on the
machine from slowing the job; the watch always runs as a user would start it. The kernel counts the time that the BPF
programs take in runs of their own, at the end (`kernel.bpf_stats_enabled`, set meanwhile and set back): counting takes
time as well, here some 0.1 us for each of 60,000 runs.

The build compiles generated C files with gcc, one after the other. The installation unpacks and configures generated
packages with dpkg into /usr and /etc, in a mount namespace of its own, whose changes go with it.
Results go to `out/sensor_slowdown.json` and `.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.sensor_watch import Measured

ROOT = Path(__file__).resolve().parent.parent
GOAL_PERCENT = 3.0
#: Runs in which the kernel counts the time of the BPF programs.
COUNTED = 3
FOLDERS = ("/usr", "/etc", "/var")
IN_NAMESPACE = """set -e
mount -t tmpfs -o size=1g tmpfs {layers}
for folder in {folders}; do
  mkdir -p {layers}$folder/upper {layers}$folder/work
  mount -t overlay overlay -o lowerdir=$folder,upperdir={layers}$folder/upper,workdir={layers}$folder/work $folder
done
"""


@dataclass(slots=True)
class Run:
    """One run of a job, in seconds."""

    wall: float
    cpu: float


@dataclass(slots=True)
class Told:
    """What a watch did during a run: seconds of processor time, events, losses."""

    cpu: float = 0.0
    events: int = 0
    lost: int = 0


@dataclass(slots=True)
class Round:
    """A job without a watch, under one, and without one again; what the watch did meanwhile."""

    plain: Run
    watched: Run
    again: Run
    watch: Told


@dataclass(slots=True)
class Job:
    """What is measured. `before` is run in front of each run and not measured; `command` is the job."""

    name: str
    what: str
    command: list[str]
    folder: Path
    before: list[str] = field(default_factory=list)
    nice: int = 0
    rounds: list[Round] = field(default_factory=list)
    #: seconds of the BPF programs, each of a run
    bpf: list[float] = field(default_factory=list)

    def run(self) -> Run:
        if self.before:
            subprocess.run(self.before, cwd=self.folder, check=True)
        begin, before = time.perf_counter(), os.times()
        with (self.folder / "log").open("wb") as log:
            command = ["nice", "-n", str(self.nice), *self.command]
            subprocess.run(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)
        after = os.times()
        cpu = after.children_user - before.children_user + after.children_system - before.children_system
        return Run(time.perf_counter() - begin, cpu)


def make_build(folder: Path, files: int, functions: int) -> Job:
    """Generate C files that take gcc a while."""
    folder.mkdir()
    pick = random.Random(1)
    for number in range(files):
        text = ["#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>"]
        for function in range(functions):
            a, b, c = (pick.randrange(1, 1 << 16) for _ in range(3))
            text.append(
                f"int f{number}_{function}(int x, const char *s)\n{{\n\tint i, t = {a};\n\tchar w[64];\n"
                f"\tfor (i = 0; i < x % 37; i++) {{ t = t * {b} + (int)strlen(s) * i; if (t & {c}) t ^= i << 3; }}\n"
                f'\tsnprintf(w, sizeof w, "%d-%s", t, s);\n\tswitch (t & 7) {{ case 0: return atoi(w); case 1:'
                f" t += {c}; case 2: t -= {a}; break; default: t ^= (int)strlen(w); }}\n\treturn t;\n}}"
            )
        (folder / f"part{number}.c").write_text("\n".join(text) + "\n", "utf-8")
    calls = "".join(f"\tt += f{number}_0(t, v[0]);\n" for number in range(files))
    names = "".join(f"int f{number}_0(int, const char *);\n" for number in range(files))
    (folder / "main.c").write_text(f"{names}int main(int c, char **v)\n{{\n\tint t = c;\n{calls}\treturn t == 7;\n}}\n")
    rule = "%.o: %.c\n\tgcc -O2 -c -o $@ $<\n"
    objects = " ".join(f"part{number}.o" for number in range(files))
    (folder / "Makefile").write_text(f"app: main.o {objects}\n\tgcc -o $@ $^\n{rule}clean:\n\trm -f app *.o\n", "utf-8")
    what = f"make, {files + 1} C files with gcc -O2, one after the other, and the linker"
    return Job("build", what, ["make", "-s", "-j1"], folder, ["make", "-s", "clean"])


SCRIPT = """#!/bin/sh
set -e
case "$1" in configure)
  getent passwd root >/dev/null
  install -d -m 755 /var/lib/{name}
  for number in 1 2 3 4; do sed -e s/a/b/ /etc/{name}.conf | sort | head -1 >/var/lib/{name}/$number; done
;; esac
"""


def make_package(folder: Path, packages: int, files: int) -> Job:
    """Generate Debian packages with files in /usr and /etc and a script that runs when they are configured."""
    folder.mkdir()
    pick = random.Random(2)
    for number in range(packages):
        name = f"maxspan-bench-{number}"
        tree = folder / name
        (tree / "DEBIAN").mkdir(parents=True)
        control = [f"Package: {name}", "Version: 1", "Architecture: all", "Maintainer: bench <bench@localhost>"]
        (tree / "DEBIAN" / "control").write_text("\n".join([*control, "Description: files to install", ""]), "utf-8")
        (tree / "DEBIAN" / "conffiles").write_text(f"/etc/{name}.conf\n", "utf-8")
        configure = tree / "DEBIAN" / "postinst"
        configure.write_text(SCRIPT.format(name=name), "utf-8")
        configure.chmod(0o755)
        (tree / "etc").mkdir()
        (tree / "etc" / f"{name}.conf").write_text("a=1\n" * 20, "utf-8")
        for place in range(files):
            path = tree / "usr" / "share" / name / f"{place % 7}" / f"file{place}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pick.randbytes(pick.randrange(200, 20_000)))
        build = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", str(tree), str(folder / f"{name}.deb")]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(tree)
    layers = folder / "layers"
    layers.mkdir()
    script = IN_NAMESPACE.format(layers=layers, folders=" ".join(FOLDERS))
    # one dpkg a package, as a package manager that orders them does
    install = f'{script}for package in {folder}/*.deb; do dpkg -i "$package"; done\n'
    what = f"dpkg -i of {packages} packages, one after the other, {files} files each, with a script to configure"
    return Job("package", what, ["unshare", "--mount", "--propagation", "private", "sh", "-c", install], folder)


def measure(job: Job, rounds: int, rules: Sequence[str]) -> None:
    """Run the rounds; a first run that warms the caches does not count."""
    job.run()
    for number in range(rounds):
        order = ["plain", "watched", "again"]
        order = order[number % 3 :] + order[: number % 3]
        if number % 2:
            order.reverse()
        runs: dict[str, Run] = {}
        told = Told()
        for what in order:
            if what == "watched":
                watch = Measured(rules, job.folder, count_bpf=False)
                try:
                    cpu = watch.cpu_seconds()
                    runs[what] = job.run()
                    told = Told(watch.cpu_seconds() - cpu)
                finally:
                    ended = watch.end()
                told.events, told.lost = ended.events, ended.lost
            else:
                runs[what] = job.run()
        one = Round(runs["plain"], runs["watched"], runs["again"], told)
        job.rounds.append(one)
        print(
            f"{job.name} {number + 1}/{rounds}: {one.plain.wall:.2f} s, watched {one.watched.wall:.2f} s "
            f"({told.events:,} events, {told.lost} lost, {told.cpu:.2f} s), "
            f"again {one.again.wall:.2f} s",
            file=sys.stderr,
            flush=True,
        )
    count(job, rules)


def count(job: Job, rules: Sequence[str]) -> None:
    """Count the time of the BPF programs in runs whose own time is not compared with anything."""
    watch = Measured(rules, job.folder)
    try:
        for _ in range(COUNTED):
            before = watch.bpf_seconds()
            job.run()
            job.bpf.append(watch.bpf_seconds() - before)
    finally:
        watch.end()


def percent(ratios: Sequence[float]) -> dict[str, float]:
    """Give the median and the quartiles of how much more than 1 the ratios are, in percent."""
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return {name: round(100 * (value - 1), 2) for name, value in (("median", middle), ("from", low), ("to", high))}


def figures(job: Job) -> dict[str, object]:
    """Give the medians of a job. A watched run is compared with the mean of the two runs without a watch."""
    wall, cpu, noise_wall, noise_cpu = [], [], [], []
    for one in job.rounds:
        wall.append(2 * one.watched.wall / (one.plain.wall + one.again.wall))
        cpu.append(2 * one.watched.cpu / (one.plain.cpu + one.again.cpu))
        noise_wall.append(one.again.wall / one.plain.wall)
        noise_cpu.append(one.again.cpu / one.plain.cpu)
    return {
        "what": job.what,
        "rounds": len(job.rounds),
        "seconds": round(statistics.median(one.plain.wall for one in job.rounds), 2),
        "events": round(statistics.median(one.watch.events for one in job.rounds)),
        "lost": sum(one.watch.lost for one in job.rounds),
        "watch_seconds": round(statistics.median(one.watch.cpu for one in job.rounds), 2),
        "bpf_seconds": round(statistics.median(job.bpf), 4),
        "slower_wall_percent": percent(wall),
        "slower_cpu_percent": percent(cpu),
        "noise_wall_percent": percent(noise_wall),
        "noise_cpu_percent": percent(noise_cpu),
        "goal_percent": GOAL_PERCENT,
        "reached": percent(wall)["median"] <= GOAL_PERCENT,
        "runs": [asdict(one) for one in job.rounds],
    }


def table(told: dict[str, dict[str, object]]) -> str:
    """Give the figures as a table of Markdown: medians, quartiles in brackets."""

    def cell(value: object) -> str:
        assert isinstance(value, dict)
        return f"{value['median']:+.1f} % ({value['from']:+.1f} to {value['to']:+.1f})"

    lines = ["| job | alone | events | watch, its BPF programs | slower: wall | processor | noise: wall | processor |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name, one in told.items():
        cells = [f"{name}: {one['what']}", f"{one['seconds']} s", f"{one['events']:,}"]
        cells.append(f"{one['watch_seconds']} s, {one['bpf_seconds']} s")
        cells += [cell(one[f"{key}_percent"]) for key in ("slower_wall", "slower_cpu", "noise_wall", "noise_cpu")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sensor_slowdown", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--job", action="append", choices=("build", "package"), help="only this (default: both)")
    parser.add_argument("-r", "--rules", action="append", default=[], help="rules (default: those that are shipped)")
    parser.add_argument("--files", type=int, default=24, help="C files of the build")
    parser.add_argument("--packages", type=int, default=12, help="packages to install")
    parser.add_argument("--nice", type=int, default=0, help="of the job, not of the watch")
    parser.add_argument("--out", type=Path, default=ROOT / "out", metavar="FOLDER")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("run as root: the sensor and the installation need it", file=sys.stderr)
        return 2
    rules = [str(Path(path).resolve()) for path in options.rules]
    told: dict[str, dict[str, object]] = {}
    # not below /tmp, which the sensor watches: builds and installations happen elsewhere
    with tempfile.TemporaryDirectory(prefix="maxspan-bench-", dir="/var/lib") as folder:
        for name in options.job or ("build", "package"):
            place = Path(folder) / name
            job = (
                make_build(place, options.files, 32) if name == "build" else make_package(place, options.packages, 300)
            )
            job.nice = options.nice
            measure(job, options.rounds, rules)
            told[name] = figures(job)
    print(table(told))
    options.out.mkdir(parents=True, exist_ok=True)
    host = {"kernel": platform.release(), "machine": platform.machine(), "processors": os.cpu_count()}
    document = {**host, "load_at_end": os.getloadavg(), "jobs": told}
    (options.out / "sensor_slowdown.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    (options.out / "sensor_slowdown.md").write_text(table(told), "utf-8")
    return 0 if all(one["reached"] for one in told.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
