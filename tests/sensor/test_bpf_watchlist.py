"""Watched paths: the tree that the kernel walks gives the same answers as comparing name by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maxspan.errors import SensorError
from maxspan.sensor.layout import HAS_ANY, WATCH_KEY, WATCHED
from maxspan.sensor.watchlist import WatchList

NAME = st.sampled_from(["a", "b", "c", "a-name-that-is-longer-than-a-key"])
PATTERN = st.lists(st.one_of(NAME, st.just("*")), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
PATH = st.lists(NAME, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))


def walk(watch: WatchList, path: str) -> bool:
    """What bpf/paths.h does with a path: inside of a watched one, or above one."""
    entries = dict(watch.entries())
    node = 0
    for name in path.strip("/").split("/"):
        raw = name.encode() if len(name) < 28 else b""
        found = entries.get(WATCH_KEY.struct.pack(node, raw))
        if not found and (node & HAS_ANY or node == 0):
            found = entries.get(WATCH_KEY.struct.pack(node, b"*"))
        if not found:
            return False
        if found & WATCHED:
            return True
        node = found
    return True


@given(st.lists(PATTERN, min_size=1, max_size=6), PATH)
def test_the_tree_agrees_with_the_patterns(patterns: list[str], path: str) -> None:
    watch = WatchList(patterns)
    assert walk(watch, path) == watch.matches(path)


def test_a_name_does_not_hide_what_a_star_leads_to() -> None:
    watch = WatchList(["/home/*/.ssh", "/home/bob/.profile"])
    for path in ("/home/bob/.ssh/authorized_keys", "/home/ann/.ssh", "/home/bob/.profile"):
        assert watch.matches(path) and walk(watch, path)
    for path in ("/home/ann/.profile", "/home/bob/.bashrc", "/homes/bob/.ssh"):
        assert not watch.matches(path) and not walk(watch, path)
    # Above a watched path: renaming it would bring the watched one into place.
    assert watch.matches("/home/ann") and watch.matches("/home")


@pytest.mark.parametrize("path", ["", "/", "etc/cron.d", "/etc/../x", "/etc/*.d", "/a\0b"])
def test_what_cannot_be_watched_is_said(path: str) -> None:
    with pytest.raises(SensorError, match="cannot watch"):
        WatchList([path])


def test_without_paths_there_is_nothing() -> None:
    watch = WatchList([])
    assert watch.entries() == [] and not watch.matches("/etc")
