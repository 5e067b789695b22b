"""`maxspan watch` and `maxspan record`: what can be checked without watching anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import RULE, maxspan


def test_help_tells_the_exit_statuses() -> None:
    done = maxspan("watch", "--help")
    assert done.returncode == 0
    assert "Exit status" in done.stdout
    assert "CAP_BPF" in done.stdout


def test_without_a_rule_that_can_run_nothing_is_watched(tmp_path: Path) -> None:
    done = maxspan("watch", "-r", tmp_path)
    assert done.returncode == 2
    assert "no rules that can run" in done.stderr


@pytest.mark.parametrize("option", [("--backend", "none"), ("--format", "json"), ("--lateness", "-1"), ("--keep", "x")])
def test_wrong_options_are_bad_usage(option: tuple[str, str]) -> None:
    done = maxspan("watch", *option)
    assert done.returncode == 2
    assert option[0] in done.stderr


def test_a_path_that_cannot_be_watched_is_named(tmp_path: Path) -> None:
    rules = tmp_path / "rule.toml"
    rules.write_text(RULE)
    done = maxspan("watch", "-r", rules, "--backend", "bpf", "--watch-path", "relative/path")
    assert done.returncode == 2
    assert "cannot watch 'relative/path'" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_events_file_that_cannot_be_made_is_said_at_once(tmp_path: Path) -> None:
    rules = tmp_path / "rule.toml"
    rules.write_text(RULE)
    done = maxspan("watch", "-r", rules, "--events", tmp_path / "missing" / "events")
    assert done.returncode == 4
    assert "No such file or directory" in done.stderr


def test_a_recording_is_of_a_command_or_of_a_process() -> None:
    done = maxspan("record", "--pid", "1", "x.ndjson", "--", "true")
    assert done.returncode == 2
    assert "not both" in done.stderr
