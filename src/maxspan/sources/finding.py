"""Paths, folders and globs become a list of event files, each once, in a stable order."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from maxspan.errors import Problem

PathLike: TypeAlias = str | os.PathLike[str]
STDIN: Final = "-"

#: what a folder is searched for; a file that is named itself is read whatever its name
EXTENSIONS: Final = (".ndjson", ".jsonl", ".json", ".log", ".parquet")
COMPRESSED: Final = ("", ".gz", ".zst", ".zstd")
_NAMES: Final = tuple(ending + more for ending in EXTENSIONS for more in COMPRESSED)


@dataclass(frozen=True, slots=True)
class EventFile:
    """One file to read; `size` is its bytes on disk, 0 for pipes and standard input."""

    path: str
    kind: Literal["lines", "parquet"] = "lines"
    size: int = 0


def find(paths: Iterable[PathLike]) -> tuple[tuple[EventFile, ...], list[Problem]]:
    """Give the files behind the paths, and what is wrong with those that give none."""
    finder = _Finder()
    for path in paths:
        finder.take(os.fspath(path))
    return tuple(finder.files), finder.problems


class _Finder:
    def __init__(self) -> None:
        self.files: list[EventFile] = []
        self.problems: list[Problem] = []
        self._seen: set[tuple[int, int]] = set()
        self._stdin = False

    def take(self, path: str) -> None:
        if path == STDIN:
            if not self._stdin:
                self.files.append(EventFile(STDIN))
            self._stdin = True
        elif os.path.lexists(path):
            self._add(path)
        elif glob.has_magic(path):
            found = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 (any pattern, also absolute ones)
            for one in found:
                self._add(one)
            if not found:
                self._problem("no-such-file", "no file matches", path, "quote it only if maxspan is to expand it")
        else:
            self._problem("no-such-file", "there is no such file or folder", path, "check the spelling")

    def _add(self, path: str) -> None:
        """Take a file, or all that is in a folder, in the order of names; folders may lie as deep as they like."""
        waiting = [path]
        while waiting:
            one = waiting.pop()
            try:
                status = Path(one).stat()
            except OSError as error:
                self._unreadable(one, error)
                continue
            if (status.st_dev, status.st_ino) in self._seen:
                continue
            self._seen.add((status.st_dev, status.st_ino))
            regular = stat.S_ISREG(status.st_mode)
            if stat.S_ISDIR(status.st_mode):
                waiting += reversed(self._folder(one))
            elif regular or one == path:
                self.files.append(EventFile(one, _kind(one) if regular else "lines", status.st_size if regular else 0))
            else:
                message = "a pipe or device in a folder was left out"
                self.problems.append(Problem("skipped-files", message, "warning", one, hint="name it to read it"))

    def _folder(self, path: str) -> list[str]:
        """Give what is to be looked at in a folder."""
        taken, skipped = [], []
        try:
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            self._unreadable(path, error)
            return []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.name.lower().endswith(_NAMES) or _is_folder(entry):
                taken.append(entry.path)
            else:
                skipped.append(entry.name)
        if skipped:
            shown = ", ".join(skipped[:3]) + (" and more" if len(skipped) > 3 else "")
            message = f"{len(skipped)} files were left out for their names: {shown}"
            hint = f"name them, or use one of {', '.join(EXTENSIONS)}, also with .gz or .zst"
            self.problems.append(Problem("skipped-files", message, "warning", path, hint=hint))
        elif not taken:
            self.problems.append(Problem("empty-folder", "there is no event file in it", "warning", path))
        return taken

    def _unreadable(self, path: str, error: OSError) -> None:
        self._problem("unreadable-file", f"cannot be read: {error.strerror}", path, "check it and its permissions")

    def _problem(self, code: str, message: str, path: str, hint: str) -> None:
        self.problems.append(Problem(code, message, path=path, hint=hint))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _kind(path: str) -> Literal["lines", "parquet"]:
    """Tell Parquet by its first bytes."""
    try:
        with Path(path).open("rb") as file:
            return "parquet" if file.read(4) == b"PAR1" else "lines"
    except OSError:
        return "lines"


def shown(path: str) -> str:
    """Give the name of a file as problems and alerts show it."""
    return "<stdin>" if path == STDIN else path
