"""Hashes of executables: once a content, never the wrong file, never long waited for."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from tests.sensor.host import MACHINE, Host, execute

from maxspan.sensor.encoder import Encoder
from maxspan.sensor.hashes import Hashes
from maxspan.sensor.records import Image


def image_of(path: Path) -> Image:
    status = path.stat()
    return Image(status.st_ino, 1, status.st_size, status.st_mode, status.st_mtime_ns, status.st_ctime_ns)


def with_hashes(hashes: Hashes) -> Encoder:
    return Encoder(MACHINE, Host().table, hashes=hashes)


def hash_in(lines: list[bytes]) -> str:
    import json

    event: dict[str, dict[str, dict[str, str]]] = json.loads(lines[0])
    return event["process"].get("hash", {}).get("sha256", "")


def test_the_first_exec_of_a_file_has_its_hash(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"#!/bin/true\n")
    hashes = Hashes()
    lines = with_hashes(hashes).encode([execute(2**22 + 5, 5, str(program), image=image_of(program))])
    assert hash_in(lines) == hashlib.sha256(b"#!/bin/true\n").hexdigest()
    assert hashes.counters.hashed == 1
    hashes.close()


def test_a_file_that_was_changed_since_has_no_hash(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"one")
    image = image_of(program)
    program.write_bytes(b"another")
    os.utime(program, ns=(1, 1))
    hashes = Hashes()
    lines = with_hashes(hashes).encode([execute(2**22 + 5, 5, str(program), image=image)])
    assert hash_in(lines) == ""
    assert (hashes.counters.unreadable, hashes.counters.events_without) == (1, 1)
    hashes.close()


def test_a_file_above_the_limit_has_none_and_is_not_asked_for_again(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"12345")
    hashes = Hashes(limit_bytes=4)
    encoder = with_hashes(hashes)
    for _ in range(3):
        encoder.encode([execute(2**22 + 5, 5, str(program), image=image_of(program))])
    assert hashes.counters.too_large == 1
    hashes.close()


def test_nobody_waits_for_a_slow_file(tmp_path: Path) -> None:
    hashes = Hashes()
    hashes._hash = lambda key, paths: time.sleep(1) or (b"", "hashed")  # type: ignore[method-assign,func-returns-value]
    encoder = with_hashes(hashes)
    records = [execute(2**22 + 5, 5, "/x", image=Image(number, 1, 1, 0, 1, 1)) for number in range(1, 30)]
    begin = time.monotonic()
    lines = encoder.encode(records)
    assert time.monotonic() - begin < 0.5
    assert len(lines) == 29
    assert hashes.counters.events_without == 29
    hashes.close()
