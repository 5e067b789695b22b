"""The file of events: whole lines, rotated; a full disk is counted and got over."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from maxspan.errors import SinkError
from maxspan.sensor import event_log
from maxspan.sensor.event_log import EventLog

LINE = b"x" * 99


def test_lines_are_appended_and_nobody_else_may_read_them(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    for _ in range(2):
        log = EventLog(path)
        log.write([b"a", b"b"])
        log.close()
    assert path.read_bytes() == b"a\nb\na\nb\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_line_that_somebody_left_half_written_is_ended_first(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b'{"half')
    log = EventLog(path)
    log.write([b"{}"])
    log.close()
    assert path.read_bytes() == b'{"half\n{}\n'


def test_files_are_rotated_by_size_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    log = EventLog(path, max_bytes=1000, keep=2)
    for number in range(100):
        log.write([b"%03d" % number + LINE])
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["events.ndjson", "events.ndjson.1", "events.ndjson.2"]
    lines = [line[:3] for file in reversed(files) for line in file.read_bytes().splitlines()]
    assert lines == [b"%03d" % number for number in range(100 - len(lines), 100)]
    assert all(file.stat().st_size <= 1000 for file in files)
    assert log.written == 100


def test_without_files_to_keep_the_file_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    log = EventLog(path, max_bytes=250, keep=0)
    for _ in range(10):
        log.write([LINE])
    log.close()
    assert [file.name for file in tmp_path.iterdir()] == ["events.ndjson"]
    assert path.stat().st_size == 200


def test_a_batch_larger_than_the_limit_is_written_whole(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.ndjson", max_bytes=10, keep=1)
    log.write([LINE, LINE])
    log.close()
    assert log.path.stat().st_size == 200


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_device_is_counted_and_told() -> None:
    log = EventLog(Path("/dev/full"), max_bytes=100, keep=1)
    log.write([LINE])
    log.write([LINE])
    assert (log.written, log.not_written) == (0, 2)
    assert "No space left" in log.failure
    log.close()


def test_a_disk_that_fills_in_a_line_leaves_whole_lines_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog(tmp_path / "events.ndjson")
    log.write([b"before"])
    real, room = os.write, [3]

    def write(file: int, data: bytes | memoryview) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        taken, room[0] = min(len(data), room[0]), room[0] - min(len(data), room[0])
        return real(file, bytes(data)[:taken])

    monkeypatch.setattr(os, "write", write)
    log.write([b"does not fit"])
    assert log.path.read_bytes() == b"before\n"
    assert log.failure
    room[0] = 1000
    log.write([b"too soon"])
    monkeypatch.setattr(event_log.time, "monotonic", lambda: float("inf"))
    log.write([b"after"])
    assert log.failure == ""
    log.close()
    assert log.path.read_bytes() == b"before\nafter\n"
    assert (log.written, log.not_written) == (2, 2)


def test_a_folder_that_is_missing_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="No such file"):
        EventLog(tmp_path / "missing" / "events.ndjson")


def test_a_file_that_was_removed_is_begun_anew(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.ndjson")
    log.write([b"before"])
    log.path.unlink()
    log.write([b"after"])
    log.close()
    assert log.path.read_bytes() == b"after\n"
    assert (log.written, log.not_written, log.anew) == (2, 0, 1)


def test_a_file_that_was_moved_away_is_left_where_it_is(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.ndjson")
    log.write([b"before"])
    log.path.rename(tmp_path / "old")
    log.write([b"after"])
    log.close()
    assert (tmp_path / "old").read_bytes() == b"before\n"
    assert log.path.read_bytes() == b"after\n"


def test_a_folder_that_was_removed_is_told_until_it_is_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = EventLog(folder / "events.ndjson")
    log.write([b"before"])
    log.path.unlink()
    folder.rmdir()
    log.write([b"lost"])
    assert "No such file" in log.failure
    folder.mkdir()
    monkeypatch.setattr(event_log.time, "monotonic", lambda: float("inf"))
    log.write([b"after"])
    log.close()
    assert log.path.read_bytes() == b"after\n"
    assert (log.written, log.not_written, log.failure) == (2, 1, "")


def test_a_file_that_was_cut_is_rotated_by_its_real_size(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.ndjson", max_bytes=250, keep=1)
    log.write([LINE, LINE])
    os.truncate(log.path, 0)
    log.write([LINE])
    log.close()
    assert [file.name for file in tmp_path.iterdir()] == ["events.ndjson"]
    assert log.path.stat().st_size == 100
