"""What could not be written is told, and a file is there whole or not at all."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

from maxspan.errors import SinkError
from maxspan.sinks.output import ClosedPipe, Output, text_file


def test_a_file_appears_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "alerts.ndjson"
    path.write_text("before")
    path.chmod(0o640)
    with Output(path) as output:
        output.write(b"one\n")
        output.flush()
        assert path.read_text() == "before"
    assert path.read_text() == "one\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["alerts.ndjson"]
    assert output.written == 4


def test_an_exception_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "alerts.ndjson"
    with pytest.raises(ZeroDivisionError), Output(path) as output:
        output.write(b"half a li")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("")
    (tmp_path / "link").symlink_to("real")
    with Output(tmp_path / "link") as output:
        output.write(b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"x"


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot write .*nowhere/x: No such file or directory"):
        Output(tmp_path / "nowhere" / "x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("size_bytes", [100, 1_000_000])
def test_a_full_disk_is_told(size_bytes: int) -> None:
    told = "No space left on device; what came before may be incomplete"
    with pytest.raises(SinkError, match=told), Output(Path("/dev/full")) as output:
        output.write(b"x" * size_bytes)


def test_a_full_disk_leaves_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "alerts.ndjson"
    path.write_text("before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SinkError, match="the file was left as it was"), Output(path) as output:
        output.write(b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["alerts.ndjson"]
    assert path.read_text() == "before"


def test_a_pipe_whose_reader_is_gone() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb", buffering=0) as pipe, pytest.raises(ClosedPipe), Output(stdout=pipe) as output:
        output.write(b"x")


def test_text_that_the_encoding_lacks_is_escaped() -> None:
    buffer = io.BytesIO()
    output = Output(stdout=buffer)
    text = text_file(output)
    text.write("a→\ud800\n")
    text.flush()
    assert buffer.getvalue() in (b"a\xe2\x86\x92\\ud800\n", b"a\\u2192\\ud800\n")
    assert not text.isatty()
