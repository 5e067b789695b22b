"""Two machines for real: a few payloads give a shell, and nothing is left, however the run ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from maxspan.errors import SensorError
from maxspan.sensor.audit.netlink import AuditSocket
from maxspan.sensor.audit.rules import key_of

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.root
NAMES = ("bash_i_tcp", "python_pty_ipv6", "perl_exec_sh_i")


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if subprocess.run(["unshare", "--net", "--pid", "--mount", "--fork", "true"], check=False).returncode:
        pytest.skip("namespaces are not possible here")

    def run(*options: str) -> subprocess.Popen[str]:
        only = [word for name in NAMES for word in ("--only", name)] if "--kind" not in options else []
        return subprocess.Popen(
            [sys.executable, "-m", "lab", "--backend", "none", *only, *options],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("maxspan-lab-*")]


def wait_until_clean(folder: Path) -> None:
    deadline = time.monotonic() + 15
    while left(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left(folder) == []


def wait_until_started(folder: Path) -> None:
    deadline = time.monotonic() + 30
    while not list(folder.glob("maxspan-lab-*/unwatched/victim")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.7)


def test_payloads_give_a_shell(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    process = start()
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert "3 payloads, 3 gave a shell" in told
    assert left(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left(start: Callable[..., subprocess.Popen[str]], tmp_path: Path, number: signal.Signals) -> None:
    process = start("--kind", "attacks")
    wait_until_started(tmp_path)
    assert left(tmp_path)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == (-number if number == signal.SIGKILL else 130)
    wait_until_clean(tmp_path)


def test_a_killed_run_leaves_no_audit_rules(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    def rules() -> int:
        with contextlib.closing(AuditSocket()) as control:
            return sum(key_of(rule).startswith(b"maxspan:") for rule in control.rules())

    try:
        before = rules()
    except SensorError as error:
        pytest.skip(f"this host does not allow auditing: {error}")
    process = start("--kind", "attacks", "--backend", "audit")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("maxspan-lab-*/audit/victim")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert rules() > before
    process.kill()
    process.communicate(timeout=30)
    wait_until_clean(tmp_path)
    deadline = time.monotonic() + 15
    while rules() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert rules() == before
