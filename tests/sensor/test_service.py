"""The unit for systemd: what it may, and that systemd understands it."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest
from click.testing import CliRunner

from maxspan.cli.watch import command

UNIT = Path(str(resources.files("maxspan.sensor") / "maxspan.service"))


def service() -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return dict(parser["Service"])


def test_it_has_four_capabilities_and_no_way_to_more() -> None:
    told = service()
    wanted = {"CAP_BPF", "CAP_PERFMON", "CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE"}
    assert set(told["CapabilityBoundingSet"].split()) == set(told["AmbientCapabilities"].split()) == wanted
    assert told["NoNewPrivileges"] == "yes"
    assert told["ProtectSystem"] == "strict"


def test_the_command_line_is_one_that_the_program_knows() -> None:
    program, name, *options = shlex.split(service()["ExecStart"])
    assert (Path(program).name, name) == ("maxspan", "watch")
    done = CliRunner().invoke(command, [*options, "--help"])
    assert done.exit_code == 0
    written = [Path(word) for word in options if word.startswith("/")]
    assert written and all(path.parent == Path("/var/lib/maxspan") for path in written)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_it(tmp_path: Path) -> None:
    unit = tmp_path / "maxspan.service"
    unit.write_text(UNIT.read_text().replace("/usr/bin/maxspan", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    if "Failed to" in done.stderr and "unit" not in done.stderr:
        pytest.skip(f"systemd-analyze cannot run here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert "maxspan.service:" not in done.stderr
