"""The cache changes nothing but the time: every entry equals what compiling gives, and nothing foreign is believed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from maxspan.rules import cache as cache_module
from maxspan.rules.cache import RuleCache, cache_folder
from maxspan.rules.load import load_rules
from maxspan.rules.model import Rule, Ruleset
from tests.rules.writing import toml_rule, write


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MAXSPAN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache_module, "_WORTHWHILE_BYTES", 0)
    return tmp_path / "cache" / "maxspan" / "rules"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    write(
        folder / "1.toml",
        toml_rule(
            'sequence by host.id with maxspan=1d\n [process where proces.name : "a*"]\n [any where true] with runs=3'
        ),
    )
    write(folder / "2.toml", toml_rule("process where", id_="broken"))
    write(folder / "3.toml", toml_rule("any where length(process.name) > 1.5 and not x in (1, true, null)", id_="r-3"))
    write(folder / "4.json", {"a": 1})
    return folder


def everything(ruleset: Ruleset) -> list[object]:
    """Give all that a rule set says, spans of the plans included."""
    attributes = [[(name, repr(getattr(rule, name))) for name in Rule.__dataclass_fields__] for rule in ruleset]
    return [attributes, ruleset.problems, ruleset.files]


def count_hits(folder: Path) -> int:
    """Load the folder and tell how many files came from the cache."""
    cache = RuleCache()
    for file in sorted(folder.iterdir()):
        cache.contents(cache_module.RuleFile(str(file), False))
    cache.close()
    return cache.hits


def test_the_second_time_is_the_same_from_the_cache(store: Path, rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_rules(rules)
    assert len(list(store.glob("*.pack"))) == 1
    assert store.stat().st_mode & 0o777 == 0o700
    assert next(store.glob("*.pack")).stat().st_mode & 0o077 == 0

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(cache_module, "parse", refuse)
    second = load_rules(rules)
    assert everything(second) == everything(first)
    assert second.notes == () and first.notes == ()
    assert [rule.plan for rule in second] == [rule.plan for rule in first]


def test_a_changed_file_is_compiled_again_and_a_removed_one_forgotten(store: Path, rules: Path) -> None:
    load_rules(rules)
    write(rules / "3.toml", toml_rule("any where true", id_="r-3"))
    (rules / "4.json").unlink()
    assert count_hits(rules) == 2
    assert count_hits(rules) == 3
    ruleset = load_rules(rules)
    assert ruleset.by_id["r-3"].query.strip() == "any where true"


def test_the_same_bytes_under_another_kind_of_name_are_read_anew(store: Path, rules: Path) -> None:
    load_rules(rules)
    (rules / "3.toml").rename(rules / "3.json")
    ruleset = load_rules(rules)
    assert "r-3" not in ruleset.by_id
    assert any(problem.path.endswith("3.json") for problem in ruleset.errors)


def test_a_folder_that_moves_says_its_new_paths(store: Path, rules: Path, tmp_path: Path) -> None:
    load_rules(rules)
    new = rules.rename(tmp_path / "elsewhere")
    ruleset = load_rules(new)
    assert {str(Path(rule.path).parent) for rule in ruleset} == {str(new)}
    assert {str(Path(problem.path).parent) for problem in ruleset.problems} == {str(new)}


def test_other_code_does_not_read_it(store: Path, rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_rules(rules)
    assert count_hits(rules) == 4
    monkeypatch.setattr(cache_module, "fingerprint", lambda: b"another version")
    assert count_hits(rules) == 0


@pytest.mark.parametrize("at", [0, 20, 60, -1])
def test_a_broken_pack_is_made_anew(store: Path, rules: Path, at: int) -> None:
    first = load_rules(rules)
    pack = next(store.glob("*.pack"))
    data = bytearray(pack.read_bytes())
    data[at] ^= 1
    pack.write_bytes(data)
    again = load_rules(rules)
    assert everything(again) == everything(first)
    assert "broken" in again.notes[0]
    assert load_rules(rules).notes == ()


@pytest.mark.parametrize("data", [b"", b"maxspan rules 1\n", b"x" * 100])
def test_a_cut_pack_is_made_anew(store: Path, rules: Path, data: bytes) -> None:
    first = load_rules(rules)
    next(store.glob("*.pack")).write_bytes(data)
    assert everything(load_rules(rules)) == everything(first)


def test_an_entry_of_another_shape_is_not_believed(store: Path, rules: Path) -> None:
    from hashlib import blake2b

    import msgspec

    first = load_rules(rules)
    pack = next(store.glob("*.pack"))
    entries = msgspec.msgpack.decode(pack.read_bytes()[48:], type=dict[bytes, tuple[bytes, msgspec.Raw]])
    false = {
        name: (key, msgspec.Raw(msgspec.msgpack.encode([[["x"]], [], 0, 0, 0]))) for name, (key, _) in entries.items()
    }
    payload = msgspec.msgpack.encode(false)
    pack.write_bytes(b"maxspan rules 1\n" + blake2b(payload, digest_size=32).digest() + payload)
    again = load_rules(rules)
    assert everything(again) == everything(first)
    assert len(again.notes) == 4


def test_what_others_may_write_is_not_read(store: Path, rules: Path) -> None:
    load_rules(rules)
    next(store.glob("*.pack")).chmod(0o666)
    assert "only you can write" in load_rules(rules).notes[0]
    store.chmod(0o777)
    assert "only you can write" in load_rules(rules).notes[0]
    assert count_hits(rules) == 0


def test_what_belongs_to_others_is_not_read(store: Path, rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_rules(rules)
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    ruleset = load_rules(rules)
    assert len(ruleset) == 3 and "only you can write" in ruleset.notes[0]


def test_a_link_in_place_of_the_pack_is_not_followed(store: Path, rules: Path, tmp_path: Path) -> None:
    load_rules(rules)
    pack = next(store.glob("*.pack"))
    pack.rename(tmp_path / "moved")
    pack.symlink_to(tmp_path / "moved")
    before = (tmp_path / "moved").read_bytes()
    assert load_rules(rules).notes
    assert (tmp_path / "moved").read_bytes() == before


def test_a_full_disk_is_noted_and_leaves_nothing(store: Path, rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    ruleset = load_rules(rules)
    assert len(ruleset) == 3 and "No space left" in ruleset.notes[0]
    assert list(store.iterdir()) == []


def test_a_cache_folder_that_cannot_be_made_is_noted(rules: Path, tmp_path: Path, store: Path) -> None:
    write(tmp_path / "cache", "a file in its place")
    ruleset = load_rules(rules)
    assert len(ruleset) == 3 and ruleset.notes


def test_old_packs_go(store: Path, rules: Path, tmp_path: Path) -> None:
    load_rules(rules)
    old = write(store / "old.pack", "x")
    os.utime(old, (0, 0))
    write(tmp_path / "more" / "r.toml", toml_rule())
    load_rules(tmp_path / "more")
    assert not old.exists() and len(list(store.glob("*.pack"))) == 2


def test_few_rules_are_not_worth_it(store: Path, rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_WORTHWHILE_BYTES", 100_000)
    load_rules(rules)
    assert not store.exists()


@pytest.mark.parametrize("value", ["off", "0", "NO", "false"])
def test_it_can_be_switched_off(store: Path, rules: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MAXSPAN_CACHE", value)
    load_rules(rules)
    assert not store.exists()


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAXSPAN_CACHE")
    monkeypatch.setenv("HOME", "/home/x")
    for given, folder in ((None, "/home/x/.cache"), ("relative", "/home/x/.cache"), ("/c", "/c")):
        if given is None:
            monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        else:
            monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert cache_folder() == Path(folder) / "maxspan" / "rules"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "")
    assert cache_folder() is None


def test_numbers_too_large_to_keep_are_compiled_each_time(store: Path, rules: Path) -> None:
    write(rules / "5.toml", toml_rule(id_="huge", head="x = 123456789012345678901234567890"))
    first, second = load_rules(rules), load_rules(rules)
    assert "huge" in second.by_id and everything(first) == everything(second)
    assert count_hits(rules) == 4
