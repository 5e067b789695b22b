"""Ids and names of MITRE ATT&CK for Enterprise, read from `attack.tsv` (its head names source and version)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Final, Literal

#: The version of ATT&CK that the list holds; ids that came later are not in it.
VERSION: Final = "18.1"

Status = Literal["active", "deprecated", "revoked"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A tactic (`TA0002`), technique (`T1059`) or sub-technique (`T1059.004`); `tactics` are short names."""

    id: str
    name: str
    status: Status = "active"
    tactics: tuple[str, ...] = ()


@cache
def entries() -> Mapping[str, Entry]:
    """Give all tactics, techniques and sub-techniques by id, deprecated and revoked ones included."""
    out: dict[str, Entry] = {}
    for line in Path(__file__).with_name("attack.tsv").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        id_, status, tactics, name = line.split("\t")
        known: Status = "revoked" if status == "revoked" else "deprecated" if status == "deprecated" else "active"
        out[id_] = Entry(id_, name, known, tuple(filter(None, tactics.split(","))))
    return out


def is_tactic(id_: str) -> bool:
    """Tell whether the list holds `id_` as a tactic."""
    return id_.startswith("TA") and id_ in entries()


def is_technique(id_: str) -> bool:
    """Tell whether the list holds `id_` as a technique or sub-technique."""
    return not id_.startswith("TA") and id_ in entries()


def name_of(id_: str) -> str:
    """Give the name of an id, or an empty string."""
    entry = entries().get(id_)
    return entry.name if entry else ""


def nearest(id_: str, *, name: str = "", tactic: bool = False) -> str:
    """Give the id that was probably meant by one that does not exist: the one of that name, else of similar letters."""
    kind = [entry for entry in entries().values() if entry.id.startswith("TA") == tactic]
    if name:
        for entry in kind:
            if entry.name.casefold() == name.casefold():
                return entry.id
    close = get_close_matches(id_[:20].upper(), [entry.id for entry in kind], n=1, cutoff=0.75)
    return close[0] if close else ""
