"""Proofs as files: a folder per rule with the events that fire, the near misses, and an index of what each breaks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec

from maxspan.errors import SinkError
from maxspan.prover.proof import Proof
from maxspan.prover.report import document, near_miss_document

FIRES: Final = "fires.ndjson"
INDEX: Final = "index.json"
_OURS: Final = re.compile(r"fires\.ndjson|index\.json|(near-miss|variant)-\d+\.ndjson")
_encode = msgspec.json.Encoder().encode


def folder_name(rule_id: str) -> str:
    """Give a rule's id as the name of a folder: letters, digits, `.`, `_` and `-`, never one that leads elsewhere."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", rule_id)[:120].lstrip(".") or "_"


def emit(proof: Proof, into: Path) -> Path:
    """Write a proof to a folder of its own below `into`, and give that folder.

    `fires.ndjson`, `near-miss-N.ndjson` and `variant-N.ndjson` hold one event a line; `index.json` says what each near
    miss breaks, and which variants fire because of what. A rule that does not fire has the index alone. What an earlier
    run left there is replaced. Raises SinkError.
    """
    folder = into / folder_name(proof.rule.id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            if _OURS.fullmatch(old.name):
                old.unlink()
        listed: list[dict[str, Any]] = []
        others: list[dict[str, Any]] = []
        if proof.status == "fires":
            (folder / FIRES).write_bytes(proof.lines(proof.events))
            for number, miss in enumerate(proof.near_misses, 1):
                name = f"near-miss-{number}.ndjson"
                (folder / name).write_bytes(proof.lines(miss.events))
                listed.append({"file": name, **near_miss_document(miss)})
            for number, variant in enumerate(proof.variants, 1):
                name = f"variant-{number}.ndjson"
                (folder / name).write_bytes(proof.lines(variant.events))
                one = {"file": name, "fires": variant.fires, "stage": variant.stage + 1, "because": variant.text}
                others.append(one)
        index = {**document(proof), "fires": FIRES if proof.status == "fires" else None, "near_misses": listed}
        index["variants"] = others
        del index["seconds"]
        (folder / INDEX).write_bytes(msgspec.json.format(_encode(index), indent=2) + b"\n")
    except OSError as error:
        raise SinkError(f"cannot write {folder}: {error.strerror}") from error
    return folder
