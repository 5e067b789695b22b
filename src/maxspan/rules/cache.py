"""What rule files became, kept on disk, so that a thousand rules need not be compiled at every start.

One file (a pack) for each folder of rules, in `$XDG_CACHE_HOME/maxspan/rules` (`~/.cache` by default). An entry counts
only for the very bytes that it was made from, and a pack only for the very code that wrote it. A pack holds plain
values, never code; one that is broken, foreign or open to others is not read. Without the cache everything works the
same, only slower: `MAXSPAN_CACHE=off` switches it off.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import time
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from maxspan import __version__
from maxspan.errors import Problem
from maxspan.rules.entry import BadEntry, from_entry, to_entry
from maxspan.rules.files import RuleFile, read
from maxspan.rules.parse import Contents, parse

_MAGIC: Final = b"maxspan rules 1\n"
_DIGEST_BYTES: Final = 32
#: Below this, compiling takes less time than it is worth to write a file.
_WORTHWHILE_BYTES: Final = 128 * 1024
_MAX_PACK_BYTES: Final = 1024 * 1024 * 1024
_UNUSED_SECONDS: Final = 30 * 86400
_DAY_SECONDS: Final = 86400
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_Pack = dict[bytes, tuple[bytes, msgspec.Raw]]
_decode_pack: Final = msgspec.msgpack.Decoder(_Pack).decode
_encode: Final = msgspec.msgpack.Encoder().encode


def cache_folder() -> Path | None:
    """Give the folder of the packs, which may not exist; None where the cache is switched off or has no place."""
    if os.environ.get("MAXSPAN_CACHE", "").strip().lower() in ("off", "0", "no", "false"):
        return None
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not Path(base).is_absolute():  # the XDG specification says to ignore these
        home = os.environ.get("HOME", "")
        if not Path(home).is_absolute():
            return None
        base = str(Path(home) / ".cache")
    return Path(base) / "maxspan" / "rules"


@cache
def fingerprint() -> bytes:
    """Identify the code that entries come from; empty where its files cannot be read."""
    digest = blake2b(f"{__version__} {sys.version} {msgspec.__version__}".encode(), digest_size=_DIGEST_BYTES)
    root = Path(__file__).resolve().parent.parent
    try:
        files = [root / "errors.py"]
        for folder in ("languages", "rules", "schema"):
            files += sorted(path for path in (root / folder).rglob("*") if path.suffix in (".py", ".tsv"))
        for file in files:
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    except OSError:
        return b""
    return digest.digest()


class RuleCache:
    """Reads rule files, those that it knows from the cache; `close` writes what was new. `notes` say what hindered."""

    def __init__(self) -> None:
        self.folder = cache_folder() if fingerprint() else None
        self.notes: list[str] = []
        self.hits = 0
        self._packs: dict[str, _Pack] = {}
        self._new: dict[str, _Pack] = {}
        self._sizes: dict[str, int] = {}
        if self.folder is not None and self.folder.exists() and not self._trusted_folder(self.folder):
            self.folder = None

    def contents(self, file: RuleFile) -> Contents:
        """Read one rule file."""
        data = read(file.path)
        if isinstance(data, Problem):
            return Contents(problems=[data])
        if self.folder is None:
            return parse(data, file.path, named=file.named)
        folder, name = os.path.split(file.path)
        if folder not in self._packs:
            self._packs[folder] = self._read_pack(folder)
        key = _key(data, file)
        known = self._packs[folder].get(os.fsencode(name))
        if known is not None and known[0] == key:
            try:
                found = from_entry(known[1], file.path)
                self.hits += 1
                return found
            except BadEntry as error:
                self.notes.append(f"an entry of the rule cache for {file.path} is broken and was made anew: {error}")
        contents = parse(data, file.path, named=file.named)
        entry = to_entry(contents, file.path)
        self._sizes[folder] = self._sizes.get(folder, 0) + len(data)
        if entry is not None:
            self._new.setdefault(folder, {})[os.fsencode(name)] = (key, msgspec.Raw(entry))
        return contents

    def close(self) -> None:
        """Write the packs of folders with new entries; what hinders that is noted, and harms nothing."""
        if self.folder is None:
            return
        for folder, new in self._new.items():
            known = self._packs[folder]
            if known or self._sizes[folder] >= _WORTHWHILE_BYTES:
                try:
                    self._write_pack(folder, {**_still_there(known, folder), **new})
                except OSError as error:
                    self.notes.append(f"the rule cache cannot be written to {self.folder}: {error.strerror}")
                    return

    def _pack_path(self, folder: str) -> Path:
        assert self.folder is not None
        digest = blake2b(os.fsencode(os.path.realpath(folder)), digest_size=16, key=fingerprint())
        return self.folder / f"{digest.hexdigest()}.pack"

    def _read_pack(self, folder: str) -> _Pack:
        path = self._pack_path(folder)
        try:
            with os.fdopen(os.open(path, _OPEN), "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or not _ours(status) or status.st_size > _MAX_PACK_BYTES:
                    self.notes.append(f"{path} is not used: it is not a file that only you can write")
                    return {}
                data = file.read(_MAX_PACK_BYTES)
                if time.time() - status.st_mtime > _DAY_SECONDS:
                    os.utime(file.fileno())
        except FileNotFoundError:
            return {}
        except OSError as error:
            self.notes.append(f"the rule cache {path} cannot be read: {error.strerror}")
            return {}
        start = len(_MAGIC) + _DIGEST_BYTES
        payload = memoryview(data)[start:]
        if data[:start] == _MAGIC + blake2b(payload, digest_size=_DIGEST_BYTES).digest():
            try:
                return _decode_pack(payload)
            except (msgspec.MsgspecError, RecursionError):
                pass  # said below
        self.notes.append(f"the rule cache {path} is broken and is made anew")
        return {}

    def _write_pack(self, folder: str, pack: _Pack) -> None:
        assert self.folder is not None
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._trusted_folder(self.folder):
            return
        payload = _encode(pack)
        handle, temporary = tempfile.mkstemp(dir=self.folder, suffix=".new")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + blake2b(payload, digest_size=_DIGEST_BYTES).digest())
                file.write(payload)
            Path(temporary).replace(self._pack_path(folder))
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
        _prune(self.folder)

    def _trusted_folder(self, folder: Path) -> bool:
        try:
            trusted = folder.is_dir() and _ours(folder.stat())
        except OSError:
            trusted = False
        if not trusted:
            self.notes.append(f"the rule cache {folder} is not used: it is not a folder that only you can write")
        return trusted


def _key(data: bytes, file: RuleFile) -> bytes:
    """Identify a file's content and all else that its reading depends on."""
    suffix = os.path.splitext(file.path)[1].lower()  # noqa: PTH122 - a name may be no valid text
    return blake2b(data, digest_size=_DIGEST_BYTES, key=os.fsencode(suffix)[:32] + bytes([file.named])).digest()


def _ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _still_there(pack: _Pack, folder: str) -> _Pack:
    try:
        names = set(os.listdir(os.fsencode(folder) or b"."))  # noqa: PTH208 - names as bytes
    except OSError:
        return {}
    return {name: entry for name, entry in pack.items() if name in names}


def _prune(folder: Path) -> None:
    """Remove what nobody has used for a month: packs of folders or versions that are gone."""
    oldest = time.time() - _UNUSED_SECONDS
    for path in folder.iterdir():
        if path.suffix in (".pack", ".new") and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
