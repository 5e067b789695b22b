"""Running the command line as a user does, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TRACES = ROOT / "examples" / "traces"

RULE = '''
[rule]
rule_id = "rule-1"
name = "A process started"
type = "eql"
language = "eql"
severity = "medium"
risk_score = 47
query = "process where event.type == \\"start\\""
note = """### Investigation steps

- Look at the process.
"""
'''
SEQUENCE_RULE = """
[rule]
rule_id = "rule-2"
name = "A connection, then a process"
type = "eql"
language = "eql"
severity = "high"
risk_score = 73
query = '''sequence by host.id with maxspan=5s [network where true] [process where event.type == "start"]'''
"""


def arguments(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "maxspan.cli.main", *map(str, args)]


def environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
    return {**kept, "PYTHONIOENCODING": "utf-8", "COLUMNS": "100", **more}


def maxspan(
    *args: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        arguments(*args), input=stdin, capture_output=True, env=environment(**(env or {})), timeout=60, **more
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode()
    )
