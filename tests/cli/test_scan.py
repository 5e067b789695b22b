"""`maxspan scan` as a user runs it, and as somebody who wants to break it does."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import maxspan as api
from tests.alerts.detections import connection, lines, started
from tests.cli.commands import RULE, SEQUENCE_RULE, TRACES, arguments, environment, maxspan


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "one.toml").write_text(RULE)
    (folder / "two.toml").write_text(SEQUENCE_RULE)
    return folder


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_bytes(lines([connection(), started()]))
    return path


def test_text_on_stdout_and_the_summary_on_stderr(rules: Path, events: Path) -> None:
    done = maxspan("scan", events, "-r", rules)
    assert done.returncode == 0
    assert "▌ MEDIUM 47  A process started" in done.stdout
    assert "▌ HIGH 73  A connection, then a process" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert "2 alerts: 1 high, 1 medium\n2 events (" in done.stderr
    assert done.stderr.endswith("2 rules run\n")


@pytest.mark.parametrize("form", ["ndjson", "json"])
def test_documents(rules: Path, events: Path, form: str) -> None:
    done = maxspan("scan", events, "-r", rules, "--format", form)
    documents = [json.loads(line) for line in done.stdout.splitlines()] if form == "ndjson" else json.loads(done.stdout)
    assert documents == list(api.scan(str(rules), str(events)))
    assert sorted(document["kibana.alert.rule.rule_id"] for document in documents) == ["rule-1"] + ["rule-2"] * 3
    fewer = maxspan("scan", events, "-r", rules, "--format", "ndjson", "--no-building-blocks")
    assert len(fewer.stdout.splitlines()) == 2


def test_the_table_has_a_line_an_alert(rules: Path, events: Path) -> None:
    done = maxspan("scan", events, "-r", rules, "--format", "table")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["TIME", "2026-11-24", "2026-11-24"]


def test_rules_are_given_many_times_and_events_too(rules: Path, events: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.ndjson"
    other.write_bytes(lines([started("2026-11-24T05:00:00Z")]))
    done = maxspan(
        "scan", events, other, "-r", rules / "one.toml", "-r", rules / "two.toml", "--format", "ndjson", "-q"
    )
    assert len(done.stdout.splitlines()) == 5
    assert done.stderr == ""


def test_events_from_standard_input(rules: Path) -> None:
    done = maxspan("scan", "-", "-r", rules / "one.toml", stdin=lines([started()]))
    assert "A process started" in done.stdout
    assert "1 event (" in done.stderr


def test_order_of_lines_and_files_changes_no_document(rules: Path, events: Path, tmp_path: Path) -> None:
    more = [connection("2026-11-24T03:06:15.000Z"), started("2026-11-24T03:06:14.900Z"), connection(), started()]
    one, two, three = (tmp_path / f"{name}.ndjson" for name in "abc")
    one.write_bytes(lines(more))
    two.write_bytes(lines(more[2:][::-1]))
    three.write_bytes(lines(more[:2][::-1]))
    first = maxspan("scan", one, "-r", rules, "--format", "ndjson")
    second = maxspan("scan", three, two, "-r", rules, "--format", "ndjson")
    assert first.stdout == second.stdout
    assert len(first.stdout.splitlines()) > 4


def test_fail_on_alert(rules: Path, events: Path, tmp_path: Path) -> None:
    assert maxspan("scan", events, "-r", rules, "--fail-on-alert").returncode == 1
    assert maxspan("scan", events, "-r", rules / "one.toml", "--fail-on-alert", "--severity", "high").returncode == 0
    quiet = tmp_path / "quiet.ndjson"
    quiet.write_bytes(lines([connection()]))
    assert maxspan("scan", quiet, "-r", rules, "--fail-on-alert").returncode == 0


def test_alerts_below_a_severity_are_left_out_and_counted(rules: Path, events: Path) -> None:
    done = maxspan("scan", events, "-r", rules, "--severity", "high", "--format", "table")
    assert "A process started" not in done.stdout and "A connection" in done.stdout
    assert "1 alert: 1 high (1 more hidden by options)" in done.stderr


def test_unreadable_lines_are_told_and_matter_under_strict(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.ndjson"
    path.write_bytes(lines([connection()]) + b'{"cut": "of\n[1]\n' + lines([started()]))
    done = maxspan("scan", path, "-r", rules, "--format", "ndjson")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 4
    assert "! 2 lines could not be read" in done.stderr
    assert f"{path}:2: " in done.stderr and f"{path}:3: not a JSON object but an array" in done.stderr
    strict = maxspan("scan", path, "-r", rules, "--strict", "--quiet")
    assert strict.returncode == 3
    assert "! 2 lines could not be read" in strict.stderr and "rules run" not in strict.stderr


def test_events_without_a_timestamp_are_told(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "undated.ndjson"
    event = started()
    del event["@timestamp"]
    path.write_bytes(lines([connection(), event]))
    done = maxspan("scan", path, "-r", rules, "--strict")
    assert done.returncode == 3
    assert "! 1 event without a timestamp could not take part in sequences" in done.stderr
    assert f"{path}:2" in done.stderr
    assert "A process started" in done.stdout


@pytest.mark.parametrize("content", [b"", b"\n\n", b"   \n"])
def test_nothing_scanned_is_said_loudly(rules: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty.ndjson"
    path.write_bytes(content)
    done = maxspan("scan", path, "-r", rules)
    assert (done.returncode, done.stdout) == (0, "")
    assert "! 0 events: nothing was scanned (the file is empty)" in done.stderr
    assert maxspan("scan", path, "-r", rules, "--strict").returncode == 3
    assert maxspan("scan", path, "-r", rules, "--format", "json").stdout == "[]\n"


def test_missing_event_files(rules: Path, events: Path, tmp_path: Path) -> None:
    done = maxspan("scan", tmp_path / "nowhere.ndjson", "-r", rules)
    assert done.returncode == 2
    assert "nowhere.ndjson" in done.stderr
    done = maxspan("scan", events, tmp_path / "nowhere.ndjson", "-r", rules, "--format", "ndjson")
    assert "nowhere.ndjson" in done.stderr
    assert len(done.stdout.splitlines()) == 4
    assert maxspan("scan", events, tmp_path / "nowhere.ndjson", "-r", rules, "--strict").returncode == 3


def test_rules_with_errors_are_told_and_the_others_run(rules: Path, events: Path) -> None:
    (rules / "bad.toml").write_text(RULE.replace("rule-1", "rule-3").replace("==", "="))
    done = maxspan("scan", events, "-r", rules, "--format", "ndjson")
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 4
    assert "bad.toml" in done.stderr and "^" in done.stderr and "1 error in rules" in done.stderr


def test_no_rule_that_can_run(events: Path, tmp_path: Path) -> None:
    done = maxspan("scan", events, "-r", tmp_path / "nothing")
    assert done.returncode == 2 and "no rules were found" in done.stderr
    (tmp_path / "kql.toml").write_text('[rule]\nrule_id = "k"\nname = "K"\ntype = "query"\nquery = "a:b"\n')
    done = maxspan("scan", events, "-r", tmp_path / "kql.toml")
    assert done.returncode == 2 and "none of the 1 rules can run" in done.stderr


def test_the_index_of_a_rule_restricts_it(tmp_path: Path) -> None:
    rule = tmp_path / "rule.toml"
    rule.write_text(RULE.replace('language = "eql"', 'language = "eql"\nindex = ["logs-endpoint.*"]'))
    path = tmp_path / "events.ndjson"
    path.write_bytes(lines([started(data_stream={"type": "logs", "dataset": "other.x", "namespace": "default"})]))
    assert maxspan("scan", path, "-r", rule).stdout == ""
    assert "A process started" in maxspan("scan", path, "-r", rule, "--ignore-index").stdout


def test_output_goes_to_a_file(rules: Path, events: Path, tmp_path: Path) -> None:
    into = tmp_path / "alerts.ndjson"
    done = maxspan("scan", events, "-r", rules, "--format", "ndjson", "-o", into)
    assert (done.returncode, done.stdout) == (0, "")
    assert len(into.read_text().splitlines()) == 4
    done = maxspan("scan", events, "-r", rules, "-o", events)
    assert done.returncode == 2 and "is one of the event files" in done.stderr
    assert maxspan("scan", events, "-r", rules, "-o", tmp_path / "no" / "x").returncode == 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("form", ["text", "table", "ndjson", "json"])
def test_a_full_disk(rules: Path, events: Path, form: str) -> None:
    done = maxspan("scan", events, "-r", rules, "--format", form, "-o", "/dev/full")
    assert done.returncode == 4
    assert "error: cannot write /dev/full: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(
            arguments("scan", events, "-r", rules, "--format", form),
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=60,
        )
    assert run.returncode == 4
    assert b"error: cannot write standard output: No space left on device" in run.stderr
    assert b"Traceback" not in run.stderr and b"Exception ignored" not in run.stderr


@pytest.mark.parametrize("form", ["text", "ndjson"])
def test_a_reader_that_goes_away(rules: Path, tmp_path: Path, form: str) -> None:
    path = tmp_path / "many.ndjson"
    path.write_bytes(lines(started(number=number) for number in range(300)))
    process = subprocess.Popen(
        arguments("scan", path, "-r", rules / "one.toml", "--format", form),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    told = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 141
    assert "error: stopped: whoever read the output has closed it" in told
    assert "Traceback" not in told and "Exception ignored" not in told


def test_ctrl_c_in_the_middle_tells_what_was_done(rules: Path, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            arguments("scan", "-", "-r", rules, "--format", "json"),
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.PIPE,
            env=environment(),
        )
    assert process.stdin is not None and process.stderr is not None
    process.stdin.write(lines(started(number=number) for number in range(3000)))
    process.stdin.flush()  # more than a pipe holds: when this returns, the scan has begun
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    json.loads((tmp_path / "out").read_bytes())
    assert b"stopped" in told and b"what is told here is not all" in told and b"Traceback" not in told


@pytest.mark.parametrize(
    ("shell", "status"),
    [("{} 2>&1 | head -c1 >/dev/null; exit ${{PIPESTATUS[0]}}", 141), ("{} >&-", 4), ("{} 2>&- >/dev/null", 0)],
)
def test_standard_streams_that_are_closed(rules: Path, tmp_path: Path, shell: str, status: int) -> None:
    path = tmp_path / "many.ndjson"
    path.write_bytes(lines(started(number=number) for number in range(300)))
    command = " ".join(f"'{part}'" for part in arguments("scan", path, "-r", rules / "one.toml"))
    done = subprocess.run(["bash", "-c", shell.format(command)], stderr=subprocess.PIPE, env=environment(), timeout=60)
    assert done.returncode == status
    assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr


def test_alerts_scanned_again_do_not_alert_again(rules: Path, events: Path, tmp_path: Path) -> None:
    into = tmp_path / "alerts.ndjson"
    maxspan("scan", events, "-r", rules / "one.toml", "--format", "ndjson", "-o", into)
    again = maxspan("scan", into, "-r", rules / "one.toml", "--format", "ndjson")
    assert (again.returncode, again.stdout) == (0, "")


def test_repeats_are_counted(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "twice.ndjson"
    path.write_bytes(lines([started(), started()]))
    done = maxspan("scan", path, "-r", rules / "one.toml", "--format", "ndjson")
    assert len(done.stdout.splitlines()) == 2
    assert "(1 repeat: the same events came in more than once)" in done.stderr


def test_jobs_and_engines(rules: Path, events: Path) -> None:
    done = maxspan("scan", events, "-r", rules, "--format", "ndjson", "--engine", "reference")
    assert len(done.stdout.splitlines()) == 4
    assert "(reference engine)" in done.stderr
    assert maxspan("scan", events, "-r", rules, "--jobs", "0").returncode == 2


def test_hostile_strings_do_not_reach_the_terminal(tmp_path: Path) -> None:
    rule = tmp_path / "rule.toml"
    rule.write_text(RULE)
    path = tmp_path / "ev\x1b[31mil\u202e.ndjson"
    event: dict[str, Any] = started()
    event["process"]["command_line"] = "sh \x1b]0;owned\x07\x1b[2J\u202egpj.exe"
    event["host"]["name"] = "\x9b2Jh"
    path.write_bytes(lines([event]) + b"{broken\n")
    for form in ("text", "table", "ndjson", "json"):
        done = maxspan("scan", path, "-r", rule, "--format", form)
        assert "rule-1" in done.stdout or "A process started" in done.stdout
        assert all(character.isprintable() or character == "\n" for character in done.stdout + done.stderr)
    assert r"\x1b]0;owned\x07" in maxspan("scan", path, "-r", rule).stdout


def on_a_terminal(*args: str | Path, env: dict[str, str] | None = None) -> str:
    """Run with a pseudo-terminal for output and errors; gives all that came."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        arguments(*args), stdin=slave, stdout=slave, stderr=slave, env=environment(**{"TERM": "xterm", **(env or {})})
    )
    os.close(slave)
    out = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        out += data
    os.close(master)
    assert process.wait(60) == 0
    return out.decode()


def test_colour_on_a_terminal_unless_told_otherwise(rules: Path, events: Path) -> None:
    coloured = on_a_terminal("scan", events, "-r", rules)
    assert "\x1b[1;31mHIGH\x1b[0m" in coloured
    for env, args in (({"NO_COLOR": "1"}, []), ({}, ["--color", "never"]), ({"TERM": "dumb"}, [])):
        plain = on_a_terminal("scan", events, "-r", rules, *args, env=env)
        assert "\x1b[1;31m" not in plain and "HIGH" in plain
    assert "\x1b[1;31mHIGH" in maxspan("scan", events, "-r", rules, "--color", "always").stdout


def test_the_examples_as_in_the_readme() -> None:
    done = maxspan("scan", TRACES / "attacks" / "socat_tcp_exec_sh.ndjson", "-r", TRACES.parents[1] / "rules")
    assert done.returncode == 0
    assert "10.77.0.2 → 10.77.0.1:4242" in done.stdout
