"""Watched files, and what extends the kernel."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sensor.bpf_watch import Watch, python, run

from maxspan.sensor import bpf_backend
from maxspan.sensor.records import (
    BpfLoad,
    Exit,
    FileOpen,
    FilePath,
)

pytestmark = pytest.mark.root


@pytest.mark.parametrize("mark", [bpf_backend.PLAIN_LOADS, b"\0no such function\0"], ids=["plain loads", "helper"])
def test_files_in_a_watched_folder(
    watching: Callable[..., Watch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: bytes
) -> None:
    monkeypatch.setattr(bpf_backend, "PLAIN_LOADS", mark)
    inside, outside = tmp_path / "in" / "deep", tmp_path / "out"
    inside.mkdir(parents=True)
    outside.mkdir()
    (inside / "old").write_text("x")
    watch = watching(watched=[str(tmp_path / "in")])
    code = """
import os
os.open("../../out/nothing", os.O_WRONLY | os.O_CREAT)
os.open("new", os.O_WRONLY | os.O_CREAT)
os.open("new", os.O_RDONLY)
os.open("old", os.O_WRONLY)
os.open("old", os.O_WRONLY | os.O_TRUNC)
os.rename("new", "../../out/gone")
os.rename("../../out/gone", "back")
folder = os.open(".", os.O_RDONLY)
os.rename("back", "é", src_dir_fd=folder, dst_dir_fd=folder)
os.link("old", "hard"); os.symlink("/etc/passwd", "soft"); os.mkdir("dir"); os.rmdir("dir")
os.mkfifo("pipe"); os.truncate("old", 0)
os.chdir("/"); os.unlink(WHERE + "/old")
try: os.unlink(WHERE + "/missing")
except OSError: pass
os.rename(WHERE + "/é", OUT + "/x")
os.rename(OUT + "/x", OUT + "/y")
""".replace("WHERE", repr(str(inside))).replace("OUT", repr(str(outside)))
    process = python(code, cwd=inside)
    watch.one(Exit, process.pid)
    opened = [(Path(one.path).name, one.created, one.truncated) for one in watch.of(FileOpen, process.pid)]
    assert opened == [("new", True, False), ("old", False, False), ("old", False, True)]
    assert watch.of(FileOpen, process.pid)[0].path == str(inside / "new")
    changes = [
        (one.operation, one.path, one.source) for one in watch.of(FilePath, process.pid) if "nothing" not in one.path
    ]
    at, out = str(inside), str(outside)
    assert changes == [
        ("rename", f"{out}/gone", f"{at}/new"),
        ("rename", f"{at}/back", f"{out}/gone"),
        ("rename", f"{at}/é", f"{at}/back"),
        ("link", f"{at}/hard", f"{at}/old"),
        ("symlink", f"{at}/soft", "/etc/passwd"),
        ("mkdir", f"{at}/dir", ""),
        ("rmdir", f"{at}/dir", ""),
        ("mknod", f"{at}/pipe", ""),
        ("truncate", f"{at}/old", ""),
        ("unlink", f"{at}/old", ""),
        ("rename", f"{out}/x", f"{at}/é"),
    ]


def test_ways_around_the_text_of_a_path(watching: Callable[..., Watch], tmp_path: Path) -> None:
    """What lies outside by its text and inside in truth: "..", a link to the folder, the folder above renamed."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").touch()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    watch = watching(watched=[str(tmp_path / "in" / "deep"), str(tmp_path / "in" / "x")])
    process = python(
        "import os, sys\nos.chdir(sys.argv[1])\nos.rename('out/a', 'out/../in/x')\nopen('link/x', 'a')\n"
        "os.rename('in', 'moved')",
        str(tmp_path),
    )
    watch.one(Exit, process.pid)
    first, last = watch.of(FilePath, process.pid)
    assert first.unsure and first.path == str(tmp_path / "in" / "x")
    assert [one.path for one in watch.of(FileOpen, process.pid)] == [str(tmp_path / "in" / "x")]
    assert (last.path, last.source) == (str(tmp_path / "moved"), str(tmp_path / "in"))


def test_without_watched_paths_there_are_no_file_records(watching: Callable[..., Watch], tmp_path: Path) -> None:
    watch = watching()
    pid = run("touch", str(tmp_path / "x"))
    watch.one(Exit, pid)
    assert not watch.of(FileOpen) and not watch.of(FilePath)


def test_loading_a_bpf_program(watching: Callable[..., Watch]) -> None:
    watch = watching()
    second = watching()
    loads = watch.of(BpfLoad)
    watch.until(lambda: any(one.name == "on_exec" for one in watch.of(BpfLoad, os.getpid())))
    loads = {one.name: one for one in watch.of(BpfLoad, os.getpid())}
    assert loads["on_exec"].own and loads["on_exec"].program_type == 26 and loads["on_exec"].instructions > 500
    second.backend.close()


def test_parents_of_the_working_folder_are_exact(watching: Callable[..., Watch], tmp_path: Path) -> None:
    for name in ("in/a/b", "out"):
        (tmp_path / name).mkdir(parents=True)
    watch = watching(watched=[str(tmp_path / "in" / "w")])
    code = """
import os
for name in ("../../w", "../../../out/x", "../../../in/w/y"):
    os.mkdir(name)
os.rename("../../../out/x", "../../w/x")
os.mkdir("../../../out/../in/w/z")
os.rmdir("../../" + "../" * 20 + WHERE[1:] + "/z")
""".replace("WHERE", repr(str(tmp_path / "in" / "w")))
    process = python(code, cwd=tmp_path / "in" / "a" / "b")
    watch.one(Exit, process.pid)
    at = str(tmp_path / "in" / "w")
    seen = [(one.operation, one.path, one.unsure) for one in watch.of(FilePath, process.pid)]
    assert seen == [
        ("mkdir", at, False),
        ("mkdir", f"{at}/y", False),
        ("rename", f"{at}/x", False),
        ("mkdir", f"{at}/z", True),
        ("rmdir", f"{at}/z", True),
    ]


def test_changed_root_shows_where_a_file_really_lies(watching: Callable[..., Watch], tmp_path: Path) -> None:
    watch = watching(watched=[str(tmp_path / "jail" / "w")])
    (tmp_path / "jail" / "w").mkdir(parents=True)
    code = """
import os, sys
os.chroot(sys.argv[1]); os.chdir("/")
os.open("/w/x", os.O_CREAT | os.O_WRONLY)
os.rename("/w/x", "../w/y")
os.unlink("../w/y")
"""
    process = python(code, str(tmp_path / "jail"))
    watch.one(Exit, process.pid)
    at = str(tmp_path / "jail" / "w")
    assert [one.path for one in watch.of(FileOpen, process.pid)] == [f"{at}/x"]
    first, last = watch.of(FilePath, process.pid)
    assert (first.source, last.unsure) == (f"{at}/x", True)


def test_too_deep_a_path_is_sent_and_marked(watching: Callable[..., Watch], tmp_path: Path) -> None:
    watch = watching(watched=[str(tmp_path / "in")])
    code = """
import os
os.mkdir("in"); os.chdir("in")
for _ in range(80):
    os.mkdir("d"); os.chdir("d")
os.open("x", os.O_CREAT | os.O_WRONLY)
"""
    process = python(code, cwd=tmp_path)
    watch.one(Exit, process.pid)
    (opened,) = watch.of(FileOpen, process.pid)
    assert opened.unsure and opened.clipped and opened.path.endswith("/d/d/x")
    assert len(watch.of(FilePath, process.pid)) == 81


def test_flags_that_say_that_a_file_is_only_read(watching: Callable[..., Watch], tmp_path: Path) -> None:
    """What the flags of an open say is enough where they cannot have changed; a struct open_how may."""
    watch = watching(watched=[str(tmp_path / "in")])
    (tmp_path / "in").mkdir()
    code = """
import ctypes, os
open("a", "w").close(); os.open("a", os.O_RDONLY); os.open("b", os.O_RDONLY | os.O_CREAT); os.open("a", os.O_RDWR)
os.open(".", os.O_TMPFILE | os.O_WRONLY); os.open("a", os.O_PATH); os.open("a", os.O_APPEND)
libc, number = ctypes.CDLL(None), 437
for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDONLY | os.O_CREAT):
    how = (ctypes.c_uint64 * 3)(flags, 0o600 if flags & os.O_CREAT else 0, 0)
    libc.syscall(number, -100, b"c" if flags & os.O_CREAT else b"a", how, 24)
libc.creat(b"d", 0o600)
"""
    process = python(code, cwd=tmp_path / "in")
    watch.one(Exit, process.pid)
    seen = [(Path(one.path).name, one.created, one.truncated) for one in watch.of(FileOpen, process.pid)]
    unnamed = seen.pop(3)
    assert unnamed[0].startswith("#")
    assert seen == [
        ("a", True, False),
        ("b", True, False),
        ("a", False, False),
        ("a", False, False),
        ("c", True, False),
        ("d", True, False),
    ]


def test_text_that_leads_out_and_back(watching: Callable[..., Watch], tmp_path: Path) -> None:
    """Outside, names are passed over; ".." and texts that are too long are looked into by the reader."""
    for name in ("in", "out/..x", "out/x..", "out/..."):
        (tmp_path / name).mkdir(parents=True)
    watch = watching(watched=[str(tmp_path / "in")])
    code = """
import os
for name in ("/out/..x/a", "/out/x../a", "/out/.../a", "/out/./a", "/out//b", "/out/" + "./" * 120 + "c",
             "/out/..x/../../in/y", "/out/../in/z", "/out/x../..", "/in/" + "n" * 27, "/in/" + "n" * 28):
    try: os.mkdir(WHERE + name)
    except FileExistsError: pass
""".replace("WHERE", repr(str(tmp_path)))
    process = python(code)
    watch.one(Exit, process.pid)
    seen = [(one.path.removeprefix(str(tmp_path)), one.unsure) for one in watch.of(FilePath, process.pid)]
    assert seen == [
        ("/out/c", True),
        ("/in/y", True),
        ("/in/z", True),
        ("/in/" + "n" * 27, False),
        ("/in/" + "n" * 28, False),
    ]


def test_long_names_on_the_way(watching: Callable[..., Watch], tmp_path: Path) -> None:
    """Names of 27 bytes fit into a key, longer ones stand for any."""
    fits, longer, other = "f" * 27, "f" * 28, "g" * 28
    for name in (fits, longer, other):
        (tmp_path / name).mkdir()
    watch = watching(watched=[str(tmp_path / fits / "w"), str(tmp_path / longer / "l")])
    code = "import os\nfor a in NAMES:\n    for b in 'wl': open(f'{a}/{b}', 'w').close()"
    process = python(code.replace("NAMES", repr([fits, longer, other])), cwd=tmp_path)
    watch.one(Exit, process.pid)
    seen = {str(Path(one.path).relative_to(tmp_path)) for one in watch.of(FileOpen, process.pid)}
    assert seen == {f"{fits}/w", f"{fits}/l", f"{longer}/l", f"{other}/l"}
