"""Proofs as files: what is written fires, what is a near miss does not, and no name leads out of the folder."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

import maxspan
from maxspan.errors import SinkError
from maxspan.prover.emit import emit, folder_name
from maxspan.prover.events import iso, nested
from maxspan.prover.judge import matches
from maxspan.prover.prove import prove
from maxspan.rules.model import Ruleset
from maxspan.sources.document import flatten
from tests.prover.rules_of_our_own import rule

SEQUENCE = 'sequence by host.id with maxspan=1m [process where a == "x"] [file where b == "y"]'


def test_the_files_of_a_rule_that_fires(tmp_path: Path) -> None:
    given = rule(SEQUENCE)
    folder = emit(prove(given), tmp_path)
    assert folder == tmp_path / "a-rule"
    assert len(matches([given], (folder / "fires.ndjson").read_bytes())) == 1
    index = json.loads((folder / "index.json").read_text())
    assert index["status"] == "fires"
    assert {path.name for path in folder.iterdir()} == {
        "fires.ndjson",
        "index.json",
        *(miss["file"] for miss in index["near_misses"]),
    }
    assert len(index["near_misses"]) >= 6
    for miss in index["near_misses"]:
        assert matches([given], (folder / miss["file"]).read_bytes()) == []
        assert miss["breaks"]


def test_a_scan_of_the_files_alerts_on_what_fires_alone(tmp_path: Path) -> None:
    if importlib.util.find_spec("maxspan.sources.files") is None:
        pytest.skip("event files cannot be read yet")
    given = rule(SEQUENCE)
    folder = emit(prove(given), tmp_path)
    rules = Ruleset((given,))
    assert len(list(maxspan.scan(rules, folder / "fires.ndjson"))) == 3
    assert list(maxspan.scan(rules, folder / "near-miss-1.ndjson")) == []


def test_what_an_earlier_run_left_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    folder = emit(prove(rule(SEQUENCE)), tmp_path)
    (folder / "notes.txt").write_text("mine")
    emit(prove(rule('any where a == "x" and not a == "x"')), tmp_path)
    assert {path.name for path in folder.iterdir()} == {"index.json", "notes.txt"}
    index = json.loads((folder / "index.json").read_text())
    assert (index["status"], index["fires"]) == ("impossible", None)


@pytest.mark.parametrize("id_", ["../../etc/passwd", "/etc", "..", ".", "", "a\0b", "x" * 500, "a/b\\c", "\x1b[2J"])
def test_no_id_leads_elsewhere(id_: str, tmp_path: Path) -> None:
    name = folder_name(id_)
    assert (tmp_path / name).resolve().parent == tmp_path.resolve()
    assert emit(prove(rule("any where true", id_=id_)), tmp_path).parent == tmp_path


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a-rule").write_text("a file, where the folder should be")
    with pytest.raises(SinkError, match="a-rule"):
        emit(prove(rule("any where true")), tmp_path)


def test_documents_nest_names_and_keep_values() -> None:
    fields: dict[str, list[str | int]] = {
        "a.b": ["x"],
        "a.c.d": [1, 2],
        "e": ["y"],
        "e.f": ["z"],
        "e.f.g": [3],
        "h": [],
    }
    document = nested(fields)
    assert document == {"a": {"b": "x", "c": {"d": [1, 2]}}, "e": "y", "e.f": "z", "e.f.g": 3}
    assert flatten(document) == {name: values for name, values in fields.items() if values}


def test_times() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(1_767_258_000_123_000_000) == "2026-01-01T09:00:00.123Z"
    assert iso(1_767_258_000_000_000_001) == "2026-01-01T09:00:00.000000001Z"
