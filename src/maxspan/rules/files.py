"""Which files hold rules: files, folders and globs become a list of regular files."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
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


def find(paths: Iterable[PathLike]) -> tuple[list[RuleFile], list[Problem]]:
    """Give the files behind `paths` in order, each once, and a problem for each path that leads to none.

    Folders are searched recursively in order of names, without hidden files and without following links to folders.
    """
    found: dict[str, RuleFile] = {}
    problems: list[Problem] = []
    for given in paths:
        path = os.fspath(given)
        files = list(_expand(path))
        if not files:
            problems.append(_nothing(path))
        for file in files:
            found.setdefault(os.path.realpath(file.path), file)
    return list(found.values()), problems


def _expand(path: str) -> Iterator[RuleFile]:
    if Path(path).is_dir():
        yield from (RuleFile(name, False) for name in _inside(path))
    elif os.path.lexists(path):
        yield RuleFile(path, True)
    elif glob.has_magic(path):
        for name in sorted(glob.glob(path, recursive=True)):  # noqa: PTH207 - absolute patterns too
            if Path(name).is_dir():
                yield from (RuleFile(inner, False) for inner in _inside(name))
            else:
                yield RuleFile(name, True)


def _inside(folder: str) -> Iterator[str]:
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield str(Path(where) / name)


def _nothing(path: str) -> Problem:
    if Path(path).is_dir():
        message = f"the folder holds no rule file ({', '.join(SUFFIXES)})"
    elif glob.has_magic(path):
        message = "the pattern fits no file"
    else:
        message = "there is no such file or folder"
    return Problem("rule-file-missing", message, path=path, hint="name a file, a folder or a glob that holds rules")


def read(path: str) -> bytes | Problem:
    """Read a regular file of bearable size, or say why not."""
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            return Problem("rule-file-unreadable", "this is no regular file", path=path)
        if status.st_size > MAX_SIZE_BYTES:
            message = f"the file is larger than {MAX_SIZE_BYTES // 1024 // 1024} MiB"
            return Problem("rule-file-too-large", message, path=path, hint="split it")
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Problem("rule-file-unreadable", f"the file cannot be read: {reason}", path=path)
