"""The generated events are what the manifest says, the same for the same seed, and shaped as ECS."""

from __future__ import annotations

import importlib
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    return importlib.import_module("benchmarks.generate")


def _write(generator: Any, path: Path, **options: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    manifest = generator.write(path, **{"events": 3000, "hosts": 4, "seed": 7, "hard": False, "attacks": 5, **options})
    return manifest, [json.loads(line) for line in path.read_bytes().splitlines()]


def test_the_manifest_counts_what_is_there(generator: Any, tmp_path: Path) -> None:
    manifest, events = _write(generator, tmp_path / "a.ndjson")
    assert len(events) == manifest["events"] == 3000
    assert manifest["planted_reverse_shells"] == 5
    assert manifest["bytes"] == (tmp_path / "a.ndjson").stat().st_size
    for category in ("process", "network", "file"):
        assert sum(event["event"]["category"] == [category] for event in events) == manifest["by_category"][category]


def test_events_come_in_order_with_a_sequence_per_host(generator: Any, tmp_path: Path) -> None:
    _, events = _write(generator, tmp_path / "a.ndjson")
    assert all(a["@timestamp"] <= b["@timestamp"] for a, b in pairwise(events))
    for host in {event["host"]["id"] for event in events}:
        numbers = [event["event"]["sequence"] for event in events if event["host"]["id"] == host]
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_seed_names_the_bytes(generator: Any, tmp_path: Path) -> None:
    _write(generator, tmp_path / "a.ndjson")
    _write(generator, tmp_path / "b.ndjson")
    _write(generator, tmp_path / "c.ndjson", seed=8)
    a, b, c = ((tmp_path / f"{name}.ndjson").read_bytes() for name in "abc")
    assert a == b != c


def test_the_hard_set_repeats_little(generator: Any, tmp_path: Path) -> None:
    def distinct(events: list[dict[str, Any]]) -> int:
        return len({event["process"].get("command_line") for event in events})

    _, easy = _write(generator, tmp_path / "easy.ndjson")
    _, hard = _write(generator, tmp_path / "hard.ndjson", hard=True)
    assert distinct(hard) > 1.2 * distinct(easy)
