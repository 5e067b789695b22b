"""Parquet files into a detector: by columns where that says the same as rows, else row by row."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import duckdb

from maxspan.engine.detector import Detector
from maxspan.engine.kernel.columns.arrow import Unsuited, available, pa
from maxspan.engine.kernel.columns.replay import MixedReplay
from maxspan.engine.kernel.columns.rules import ColumnRules
from maxspan.engine.kernel.columns.taking import prepared, take
from maxspan.engine.kernel.detector import KernelDetector
from maxspan.engine.match import RuleMatch
from maxspan.errors import Problem
from maxspan.sources.chunk import Chunk
from maxspan.sources.files import EventFiles

Note = Callable[[Problem], None]

#: what reading by columns may meet in a file; from there on rows decide
_FAILURES: Final = (Unsuited, duckdb.Error, OSError, ValueError, KeyError, OverflowError)


def feed_files(detector: Detector, files: EventFiles) -> Iterator[list[RuleMatch]]:
    """Feed all files to a detector and give the matches that are certain by then; Parquet by columns if that works.

    The same as feeding `files.chunks()`: `files.problems` and `files.bytes_done` grow while it goes on.
    """
    for file in files.files:
        before = files.bytes_done
        if file.kind == "parquet" and isinstance(detector, KernelDetector) and takes_columns(detector):

            def progress(share: float, before: int = before, size: int = file.size) -> None:
                files.bytes_done = before + int(share * size)

            yield from feed_parquet(detector, file.path, note=files.problems.append, progress=progress)
        else:
            part = copy.copy(files)
            part.files = (file,)
            for chunk in part.chunks():
                files.bytes_done = part.bytes_done
                yield detector.feed(chunk)
        files.bytes_done = before + file.size


def takes_columns(detector: KernelDetector) -> bool:
    """Whether a detector can be fed by columns: pyarrow is there, and it is no stream, where every event counts."""
    return available() and detector._lanes is None


def feed_parquet(
    detector: KernelDetector,
    path: str | Path,
    *,
    note: Note | None = None,
    progress: Callable[[float], None] | None = None,
) -> Iterator[list[RuleMatch]]:
    """Feed the rows of a Parquet file to a detector, and give the matches that are certain by then.

    Matches, positions, numbers of rows and counters are those of feeding the rows as lines, but for `counters.bytes`,
    which counts bytes of columns. What cannot be read is told to `note`; nothing is raised for it. `progress` is told
    the share of the rows that has been read.
    """
    path = str(path)
    done = 0
    if not takes_columns(detector):
        yield from _by_rows(detector, path, done, note)
        return
    replay = _mixed_replay(detector)
    if replay is not None:
        replay.begin_rows(path)
    try:
        rules = ColumnRules(detector.compiled)
        batches = prepared(rules, path)
        while True:
            batch = None  # the one before makes room
            try:
                batch = next(batches, None)
            except (*_FAILURES, pa.ArrowException):
                yield from _by_rows(detector, path, done, note)
                return
            if batch is None:
                return
            found = take(detector, rules, path, done + 1, batch)
            done += batch.rows
            if replay is not None:
                replay.add_rows(batch.rows)
            if progress is not None and batch.total:
                progress(min(1.0, done / batch.total))
            yield found
    finally:
        if replay is not None:
            replay.end_rows()


def _mixed_replay(detector: KernelDetector) -> MixedReplay | None:
    if detector._replay is None:
        return None
    if not isinstance(detector._replay, MixedReplay):
        detector._replay = MixedReplay(detector._replay)
    return detector._replay


def _by_rows(detector: KernelDetector, path: str, done: int, note: Note | None) -> Iterator[list[RuleMatch]]:
    """Feed the rows behind the first `done` as lines."""
    files = EventFiles([Path(path)])
    for chunk in files.chunks():
        over = done + 1 - chunk.first_line
        if over > 0:
            lines = chunk.data.split(b"\n")
            chunk = Chunk(b"\n".join(lines[over:]), chunk.path, chunk.first_line + over)
        if chunk.data:
            yield detector.feed(chunk)
    if note is not None:
        for problem in files.problems:
            note(problem)
