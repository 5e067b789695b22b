"""The object in the tree is what its sources give."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

FOLDER = Path(str(resources.files("maxspan.sensor") / "bpf"))


def built_with() -> str:
    """Major version of clang that the build script names."""
    found = re.search(r"^# Built with clang (\d+)\.$", (FOLDER / "build.sh").read_text(), re.M)
    assert found
    return found[1]


def test_a_rebuild_gives_the_same_bytes(tmp_path: Path) -> None:
    for tool in ("clang", "llvm-strip"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    version = subprocess.run(["clang", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"clang version (\d+)", version)
    if not found or found[1] != built_with():
        pytest.skip(f"the object was built with clang {built_with()}, here is {version.splitlines()[0]}")
    # In another folder, to show that no path gets into the object.
    copy = tmp_path / "elsewhere"
    shutil.copytree(FOLDER, copy)
    (copy / "sensor.bpf.o").unlink()
    subprocess.run([copy / "build.sh"], check=True)
    assert (copy / "sensor.bpf.o").read_bytes() == (FOLDER / "sensor.bpf.o").read_bytes()
