"""Whole outputs of small scans, as golden files."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.cli.commands import ROOT, maxspan

Golden = Callable[[str, str], None]

TRACE = "examples/traces/attacks/bash_tcp_i_oneshot.ndjson"
TWO = (TRACE, "examples/traces/attacks/socat_tcp_exec_sh.ndjson")
RULES = "tests/golden/rules"
SEQUENCE = "tests/golden/rules/shell_after_connection.toml"


def run(*args: str, width: int = 80) -> str:
    done = maxspan(*args, cwd=ROOT, env={"COLUMNS": str(width)})
    assert done.returncode == 0
    return done.stdout


def summary(*args: str) -> str:
    told = maxspan(*args, cwd=ROOT).stderr
    return re.sub(r"in [0-9.]+ s, [0-9,]+ events/s( \(reference engine\))?", "in N s, N events/s", told)


@pytest.mark.parametrize("width", [80, 120])
def test_text(golden: Golden, width: int) -> None:
    golden(f"scan_{width}.txt", run("scan", *TWO, "-r", RULES, width=width))


def test_colour(golden: Golden) -> None:
    shown = run("scan", TRACE, "-r", SEQUENCE, "--color", "always")
    golden("scan_colour.txt", shown.replace("\x1b", "␛"))


def test_table(golden: Golden) -> None:
    golden("scan_table.txt", run("scan", *TWO, "-r", RULES, "--format", "table"))


def test_documents(golden: Golden) -> None:
    golden("scan.ndjson", run("scan", TRACE, "-r", SEQUENCE, "--format", "ndjson"))


def test_the_summary(golden: Golden) -> None:
    golden("scan_summary.txt", summary("scan", *TWO, "-r", RULES))


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("query_events", 'process where process.parent.name == "socat"'),
        ("query_sequence", "sequence by process.entity_id with maxspan=5s [process where true] [network where true]"),
    ],
)
def test_queries(golden: Golden, name: str, query: str) -> None:
    golden(f"{name}.txt", run("query", query, *TWO))
