"""`python -m lab`: run payloads and ordinary work under the sensor and print what it caught."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab import report
from lab.activity import perform
from lab.attacker import make_certificate
from lab.attacks import run_payload
from lab.attribute import attribute
from lab.benign import ACTIVITIES
from lab.errors import LabError
from lab.janitor import Janitor
from lab.namespaces import Pair, open_pair
from lab.outcome import Outcome
from lab.payloads import build, load_payloads
from lab.related import RELATED
from lab.watch import SENSORS

ROOT = Path(__file__).resolve().parent.parent
LAST_ALERTS_SECONDS = 3.0
KINDS = ("attacks", "benign", "related")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these (default: all)")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this payload or activity")
    parser.add_argument("--backend", choices=("bpf", "audit", "both", "none"), default="bpf")
    parser.add_argument("--through", choices=tuple(SENSORS), default="watch", help="maxspan watch, or maxspan record")
    parser.add_argument("--rules", type=Path, default=ROOT / "rules")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write lab-results.md and .json there")
    parser.add_argument("--limit", type=float, default=1200.0, metavar="SECONDS", help="begin nothing new after this")
    return parser.parse_args(arguments)


def run_all(
    pair: Pair, options: argparse.Namespace, folder: Path, certificate: Path, failed: dict[str, str]
) -> list[Outcome]:
    """Run what is asked for, one after the other, each from a clean start."""
    deadline = time.monotonic() + options.limit
    out: list[Outcome] = []
    for outcome in _outcomes(pair, options, folder / "built", certificate, failed):
        out.append(outcome)
        how = {True: "ok", False: "FAILED", None: "skipped"}[outcome.worked]
        print(f"  {outcome.kind:8} {outcome.name:26} {how} {outcome.trouble[:160]}", file=sys.stderr, flush=True)
        outcome.ended = time.time()
        pair.end_all()
        if time.monotonic() > deadline:
            print(f"lab: the limit of {options.limit:.0f} s is over; the rest was not run", file=sys.stderr)
            break
    return out


def _outcomes(
    pair: Pair, options: argparse.Namespace, built: Path, certificate: Path, failed: dict[str, str]
) -> Iterator[Outcome]:
    kinds = options.kind or KINDS

    def wanted(name: str) -> bool:
        return not options.only or name in options.only

    if "attacks" in kinds:
        for payload in load_payloads():
            if wanted(payload.name):
                yield run_payload(pair, payload, built, certificate, failed)
    for kind, activities in (("benign", ACTIVITIES), ("related", RELATED)):
        if kind in kinds:
            for activity in activities:
                if wanted(activity.name):
                    yield perform(pair, activity, kind)


def run_lab(options: argparse.Namespace, janitor: Janitor) -> int:
    folder = Path(tempfile.mkdtemp(prefix="maxspan-lab-"))
    janitor.folder(folder)
    folder.chmod(0o755)
    (folder / "built").mkdir()
    failed = build(load_payloads(), folder / "built")
    certificate = make_certificate(folder)
    backends = {"both": ("bpf", "audit"), "none": ()}.get(options.backend, (options.backend,))
    said: dict[str, str] = {}
    merged: dict[tuple[str, str], Outcome] = {}
    for backend in backends or ("",):
        print(f"lab: under {backend or 'no sensor'}", file=sys.stderr)
        watch = SENSORS[options.through](backend, options.rules, folder, janitor) if backend else None
        try:
            if watch is not None:
                watch.start()
            machines = folder / (backend or "unwatched")
            machines.mkdir()
            with open_pair(machines) as pair:
                for machine in (pair.peer, pair.victim):
                    for pid in machine.pids:
                        janitor.process(pid)
                outcomes = run_all(pair, options, folder, certificate, failed)
                if watch is not None:
                    time.sleep(LAST_ALERTS_SECONDS)
        finally:
            if watch is not None:
                watch.stop()
        if watch is not None:
            said[backend] = watch.said()
            strangers = attribute(watch, outcomes)
            if strangers:
                print(f"lab: {len(strangers)} alerts belong to other work on this host", file=sys.stderr)
        for outcome in outcomes:
            known = merged.setdefault((outcome.kind, outcome.name), outcome)
            known.alerts.update(outcome.alerts)
            if outcome.worked is False and known.worked:
                known.worked, known.trouble = False, f"{backend}: {outcome.trouble}"
    rows = list(merged.values())
    print(report.markdown(rows, backends, options.through))
    if options.save:
        for path in report.write(options.save, rows, backends, said, options.through):
            print(f"lab: wrote {path}", file=sys.stderr)
    return 0 if all(row.worked is not False for row in rows) else 1


def main() -> int:
    options = parse_arguments()
    if os.geteuid() != 0:
        print("lab: run as root: it makes network namespaces and loads the sensor", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):  # also where SIGINT is ignored, as in a job in the background
        signal.signal(number, signal.default_int_handler)
    janitor = Janitor()
    status = 1
    try:
        status = run_lab(options, janitor)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("lab: stopped", file=sys.stderr)
        status = 130
    finally:
        left = janitor.finish()
    return status or left


if __name__ == "__main__":
    sys.exit(main())
