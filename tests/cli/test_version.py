"""`maxspan --version` says which kernel runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from maxspan import __version__
from maxspan.engine.kernel import native


@pytest.mark.parametrize("wanted", ["0", "1"])
def test_version_says_which_kernel_runs(wanted: str) -> None:
    command = [sys.executable, "-m", "maxspan.cli.main", "--version"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "MAXSPAN_NATIVE": wanted}
    )
    kernel = "compiled" if wanted == "1" and native.scan is not None else "in Python"
    assert done.stdout.startswith(f"maxspan {__version__}, kernel {kernel}")
    assert done.stderr == ""
