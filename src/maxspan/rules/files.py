"""Which files hold rules: files, folders and globs become a list of regular files."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from maxspan.errors import Problem

#: Ends of names that are looked at in folders.
SUFFIXES: Final = (".toml", ".ndjson", ".json", ".jsonl")
#: A whole export of Kibana with thousands of rules stays well below this.
MAX_SIZE_BYTES: Final = 256 * 1024 * 1024

PathLike: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A file to read; `named` tells that the caller named it, so that it must hold rules."""

    path: str
    named: bool


class Finder:
    """Collects the files behind paths in order, each once, and a problem for each path that leads to none.

    Folders are searched recursively in order of names, without hidden files. Links are followed; a folder is entered
    only once, so that a loop of links ends.
    """

    def __init__(self) -> None:
        self.files: list[RuleFile] = []
        self.problems: list[Problem] = []
        self._files_seen: set[tuple[int, int]] = set()
        self._folders_seen: set[tuple[int, int]] = set()

    def add(self, given: PathLike) -> None:
        path = os.fspath(given)
        if "\0" in path:
            self._problem("rule-file-missing", "a path cannot hold a NUL character", path.replace("\0", "\\0"))
        elif os.path.lexists(path):
            self._add_existing(path)
        elif glob.has_magic(path):
            names = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - absolute patterns too
            if not names:
                self._problem("rule-file-missing", "the pattern fits no file", path)
            for name in names:
                self._add_existing(name)
        else:
            self._problem("rule-file-missing", "there is no such file or folder", path)

    def _add_existing(self, path: str) -> None:
        if not Path(path).is_dir():
            self._add_file(path, named=True)
        elif not self._search(path):
            self._problem("rule-file-missing", f"the folder holds no rule file ({', '.join(SUFFIXES)})", path)

    def _add_file(self, path: str, *, named: bool) -> None:
        try:
            status = Path(path).stat()
        except (OSError, ValueError) as error:
            self.problems.append(_unreadable(path, error))
            return
        if not stat.S_ISREG(status.st_mode):
            self.problems.append(Problem("rule-file-unreadable", "this is no regular file", path=path))
        elif (status.st_dev, status.st_ino) not in self._files_seen:
            self._files_seen.add((status.st_dev, status.st_ino))
            self.files.append(RuleFile(path, named))

    def _search(self, folder: str) -> bool:
        """Add the rule files below a folder; tells whether there was any, or anything to complain about."""
        waiting, found = [folder], False
        while waiting:
            here = waiting.pop()
            try:
                status = Path(here).stat()
                if (status.st_dev, status.st_ino) in self._folders_seen:
                    found = True
                    continue
                self._folders_seen.add((status.st_dev, status.st_ino))
                with os.scandir(here) as entries:
                    inside = sorted((item for item in entries if not item.name.startswith(".")), key=_name)
            except OSError as error:
                self.problems.append(_unreadable(here, error, what="folder"))
                found = True
                continue
            below: list[str] = []
            for entry in inside:
                if _is_folder(entry):
                    below.append(entry.path)
                elif entry.name.lower().endswith(SUFFIXES):
                    found = True
                    self._add_file(entry.path, named=False)
            waiting.extend(reversed(below))
        return found

    def _problem(self, code: str, message: str, path: str) -> None:
        hint = "name a file, a folder or a glob that holds rules"
        self.problems.append(Problem(code, message, path=path, hint=hint))


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle; reading it as a file says so
        return False


def find(paths: Iterable[PathLike]) -> tuple[list[RuleFile], list[Problem]]:
    """Give the files behind `paths` in order, each once, and a problem for each path that leads to none."""
    finder = Finder()
    for path in paths:
        finder.add(path)
    return finder.files, finder.problems


def read(path: str) -> bytes | Problem:
    """Read a regular file of bearable size, or say why not."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return Problem("rule-file-unreadable", "this is no regular file", path=path)
            data = file.read(MAX_SIZE_BYTES + 1)
    except (OSError, ValueError) as error:
        return _unreadable(path, error)
    if len(data) > MAX_SIZE_BYTES:
        message = f"the file is larger than {MAX_SIZE_BYTES // 1024 // 1024} MiB"
        return Problem("rule-file-too-large", message, path=path, hint="split it")
    return data


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for the other end of a named pipe."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _unreadable(path: str, error: OSError | ValueError, *, what: str = "file") -> Problem:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Problem("rule-file-unreadable", f"the {what} cannot be read: {reason}", path=path)
