"""A scan by several processes is the scan by one: every kind of source, every way to fail."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from maxspan.engine import run
from maxspan.engine.jobs import JobsDetector
from maxspan.engine.report import Report
from maxspan.engine.run import Scan
from maxspan.errors import SourceError, UsageError
from maxspan.languages import plan
from maxspan.rules.load import load_rules
from maxspan.rules.model import Rule, Ruleset
from maxspan.sources.files import EventFiles
from tests.engine.sequences import START, rules_of

ROOT = Path(__file__).parent.parent.parent
TRACES = ROOT / "examples" / "traces"
SHARED = os.environ.get("MAXSPAN_SHARED")
MAXSPAN = [sys.executable, "-c", "from maxspan.cli.main import main; main()"]
EVERY = [plan.EventQuery(plan.Stage("process", plan.TRUE))]
PAIRS = plan.SequenceQuery(
    (plan.Field("host.id"),), (plan.Stage("process", plan.TRUE), plan.Stage("network", plan.TRUE)), 5 * 10**9
)


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_SMALL", 0)


def ruleset(*queries: plan.Query) -> Ruleset:
    return Ruleset(tuple(rules_of(list(queries))))


def events(count: int, begin: int = 0) -> list[bytes]:
    out = []
    for number in range(begin, begin + count):
        category = "network" if number % 7 == 3 else "process"
        document = {
            "@timestamp": START + 100 * number,
            "event": {"category": category, "sequence": number},
            "host": {"id": f"h{number % 3}"},
            "padding": "x" * 300,
        }
        out.append(json.dumps(document).encode())
    return out


def both(rules: Ruleset, paths: list[str]) -> tuple[Report, Report]:
    """Scan by one and by three processes, and compare everything but the time."""
    one = Scan(rules, paths)
    expected = list(one.matches())
    several = Scan(rules, paths, jobs=3)
    assert list(several.matches()) == expected
    reports = tuple(replace(scan.report, elapsed_seconds=0.0) for scan in (one, several))
    assert reports[0] == reports[1]
    assert several.report.complete
    return reports[0], reports[1]


def test_plain_files_with_unreadable_lines(tmp_path: Path) -> None:
    for number in range(3):
        lines = events(4000, number * 4000)
        lines[100 * number + 7] = b"{ broken"
        lines[100 * number + 9] = b'{"event": {"category": "process"}, "host": {"id": "h1"}}'
        (tmp_path / f"{number}.ndjson").write_bytes(b"\n".join(lines))
    report, _ = both(ruleset(*EVERY, PAIRS), [str(tmp_path)])
    assert report.counters.unreadable == 3
    assert report.counters.without_timestamp == 3
    assert [problem.line for problem in report.counters.problems] == [8, 10, 108, 110, 208, 210]
    assert report.counters.matches > 10_000


@pytest.mark.parametrize("count", [1, 8])
def test_other_forms(tmp_path: Path, count: int) -> None:
    for number in range(count):
        lines = events(300, number * 900)
        (tmp_path / f"{number}a.ndjson.gz").write_bytes(gzip.compress(b"\n".join(lines)))
        (tmp_path / f"{number}b.json").write_bytes(b"[" + b",\n".join(events(300, number * 900 + 300)) + b"]")
        (tmp_path / f"{number}c.ndjson").write_bytes("\n".join(line.decode() for line in lines).encode("utf-16"))
    cut_off = (tmp_path / "0a.ndjson.gz").read_bytes()[:-30]
    (tmp_path / "x.ndjson.gz").write_bytes(cut_off)
    report, _ = both(ruleset(*EVERY, PAIRS), [str(tmp_path), str(tmp_path / "missing")])
    assert {problem.code for problem in report.source_problems} == {"no-such-file", "broken-archive"}


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """Also where events are not in order, so that they have to be run a second time."""
    lines = events(3000)
    lines = lines[1500:] + lines[:1500]
    command = [*MAXSPAN, "query", _text(PAIRS), "-", "--format", "ndjson"]
    told = [
        subprocess.run([*command, "--jobs", jobs], input=b"\n".join(lines), capture_output=True, check=True).stdout
        for jobs in ("1", "2")
    ]
    assert told[0] == told[1]
    assert told[0].count(b"\n") > 100


def _text(query: plan.SequenceQuery) -> str:
    from maxspan.languages.eql.printer import format_query

    return format_query(query)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_both_ways_to_start(tmp_path: Path, method: str) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"\n".join(events(2000)))
    expected = list(Scan(ruleset(*EVERY, PAIRS), [str(path)]).matches())
    rules = ruleset(*EVERY, PAIRS).runnable
    detector = JobsDetector(rules, EventFiles([path]), jobs=2, part_bytes=65536, method=method)  # type: ignore[arg-type]
    found = [match for chunk in detector.chunks() for match in chunk] + detector.finish()
    key: Callable[[object], str] = repr
    assert sorted((_plain(match) for match in found), key=key) == sorted(map(_plain, expected), key=key)


def _plain(match: object) -> object:
    return (match.rule.id, match.events, match.join_keys)  # type: ignore[attr-defined]


@pytest.mark.parametrize("rules", [ROOT / "rules", SHARED and Path(SHARED) / "corpus" / "elastic" / "rules" / "linux"])
def test_recorded_traces(rules: Path | None) -> None:
    if rules is None:
        pytest.skip("MAXSPAN_SHARED is not set: no rules of Elastic")
    report, _ = both(load_rules([str(rules)]), [str(TRACES)])
    assert report.counters.matches


def test_a_worker_that_is_killed_is_told(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"\n".join(events(20_000)))
    files = EventFiles([path])
    detector = JobsDetector(ruleset(*EVERY, PAIRS).runnable, files, jobs=2, part_bytes=65536)
    chunks = detector.chunks()
    next(chunks)
    worker = detector._passes[0]._workers.all[1].process
    os.kill(worker.pid or 0, signal.SIGKILL)
    with pytest.raises(SourceError, match=rf"pid {worker.pid}\) was killed by SIGKILL"):
        list(chunks)
    (problem,) = files.problems
    assert (problem.code, problem.severity, problem.path) == ("worker-lost", "error", str(path))
    assert "while it read bytes" in problem.message
    detector.close()
    assert not worker.is_alive()


NO_MEMORY = """
import sys
from maxspan.engine import run
from maxspan.engine.jobs import detect
from maxspan.engine.jobs.run import Run
from maxspan.errors import SourceError
from maxspan.rules.load import load_rules

def take(self, part):
    raise MemoryError

Run.take = take
run._SMALL = 0
rules = load_rules([sys.argv[1]])
scan = run.Scan(rules, [sys.argv[2]], jobs=2)
assert list(scan.matches()) == []
assert not scan.report.complete
assert scan.report.lost == 1
assert "out of memory" in scan.report.source_problems[0].message
try:
    list(detect(rules.runnable, [sys.argv[2]], jobs=2))
except SourceError as error:
    print(error)
"""


def test_a_worker_without_memory_is_told(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"\n".join(events(2000)))
    command = [sys.executable, "-c", NO_MEMORY, str(ROOT / "rules" / "linux"), str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert b"out of memory" in done.stdout
    assert done.stderr == b""


@pytest.mark.parametrize("guarded", [False, True])
def test_a_script_that_scans_where_it_is_imported(tmp_path: Path, guarded: bool) -> None:
    """With other threads about, workers are started anew; they do not run the script again."""
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"\n".join(events(2000)))
    script = tmp_path / "script.py"
    lines = [
        "import sys, threading",
        "from maxspan.engine import run",
        "from maxspan.rules.load import load_rules",
        "print('once')",
        "ended = threading.Event()",
        "threading.Thread(target=ended.wait).start()",
        "run._SMALL = 0",
        "scan = run.Scan(load_rules([sys.argv[1]]), [sys.argv[2]], jobs=2)",
        "list(scan.matches())",
        "print(scan.report.complete, scan.report.counters.events)",
        "ended.set()",
    ]
    if guarded:
        lines[3:] = ["if __name__ == '__main__':", *(f"    {line}" for line in lines[3:])]
    script.write_text("\n".join(lines))
    command = [sys.executable, str(script), str(ROOT / "rules" / "linux"), str(path)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert done.stdout == "once\nTrue 2000\n"


@pytest.mark.parametrize("status, kill", [(3, "kill"), (130, "interrupt")])
def test_the_command_never_takes_a_part_for_the_whole(status: int, kill: str) -> None:
    """Its input does not end: it can only end by being told to, or by noticing that a worker is gone."""
    command = [*MAXSPAN, "scan", "-", "--jobs", "2", "-r", str(ROOT / "rules" / "linux")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(b"\n".join(events(6000)))
        process.stdin.flush()
        workers = _children(process.pid, 2)
        if kill == "kill":
            os.kill(workers[0], signal.SIGKILL)
            process.stdin.close()
        else:
            time.sleep(0.3)
            os.killpg(process.pid, signal.SIGINT)
        told = process.stderr.read().decode()
        assert process.wait(timeout=60) == status, told
    assert "what is told here is not all" in told
    assert "Traceback" not in told
    if kill == "kill":
        assert "worker process" in told
    for _ in range(50):
        if not any(map(_is_alive, workers)):
            break
        time.sleep(0.1)
    assert not any(map(_is_alive, workers))


def test_workers_end_when_the_command_is_killed() -> None:
    command = [*MAXSPAN, "scan", "-", "--jobs", "2", "-r", str(ROOT / "rules" / "linux")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.write(b"\n".join(events(6000)))
        process.stdin.flush()
        workers = _children(process.pid, 2)
        process.kill()
    for _ in range(100):
        if not any(map(_is_alive, workers)):
            break
        time.sleep(0.1)
    assert not any(map(_is_alive, workers))


def _children(pid: int, count: int) -> list[int]:
    for _ in range(200):
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if len(found) >= count:
            return [int(one) for one in found]
        time.sleep(0.1)
    raise AssertionError("the workers did not start")


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_options_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least one"):
        Scan(ruleset(*EVERY), [str(tmp_path)], jobs=0)
    with pytest.raises(UsageError, match="one process"):
        Scan(ruleset(*EVERY), [str(tmp_path)], jobs=2, engine="reference")


def test_no_rules_and_no_files(tmp_path: Path) -> None:
    empty: tuple[Rule, ...] = ()
    both(Ruleset(empty), [str(TRACES)])
    both(ruleset(*EVERY), [str(tmp_path)])
