"""Rules of the house that a machine can hold: who imports whom, how long files get, words that do not belong."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "maxspan"
#: The way of the data: a folder (or module) imports only from those before it.
ORDER = (
    "errors",
    "schema",
    "languages",
    "rules",
    "sources",
    "engine",
    "alerts",
    "store",
    "sinks",
    "sensor",
    "prover",
    "response",
    "server",
    "api",
    "cli",
)
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
LONGEST = 450
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
#: Names of registries, and paths of machines that the project was written on.
FORBIDDEN = re.compile(
    r"(?<![\w.])/wor[k]/|/root/\.pyen[v]|artifactor[y]|jfro[g]|[\w-]+\.(?:internal|corp)/(?:simple|pypi|npm)",
    re.IGNORECASE,
)
TEXT_SUFFIXES = {".py", ".toml", ".md", ".tsv", ".c", ".h", ".yml", ".yaml", ".txt", ".sh", ".service", ".cfg"}


def part_of(path: Path) -> str:
    """Give the folder of a module below the package, or the name of a module that stands in no folder."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Give line and full name of everything of maxspan that a module imports, anywhere in it."""
    package = (*path.relative_to(PACKAGE.parent).parts[:-1],)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, item.name) for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module or "")))
            yield from ((node.lineno, f"{module}.{item.name}") for item in node.names)


def imported_parts(path: Path) -> Iterator[tuple[int, str]]:
    for line, name in imports(path):
        words = name.split(".")
        if words[0] == "maxspan" and len(words) > 1 and not words[1].startswith("__"):
            yield line, words[1]


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 50
    assert {"errors", "rules", "engine", "cli"} <= {part_of(path) for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_with_the_data(path: Path) -> None:
    part = part_of(path)
    if part in ("__init__", "__main__"):
        return  # the public names come from everywhere
    assert part in ORDER, f"{part} has no place in the order"
    allowed = {*ORDER[: ORDER.index(part) + 1]}
    wrong = [f"line {line}: {other}" for line, other in imported_parts(path) if other not in allowed]
    assert not wrong, f"{part} imports what comes later: {wrong}"


def test_folders_do_not_import_each_other_in_a_circle() -> None:
    edges = {(part_of(path), other) for path in MODULES for _, other in imported_parts(path)}
    edges = {(one, other) for one, other in edges if one != other and one not in ("__init__", "__main__")}
    reached = set(edges)
    while True:
        more = {(a, d) for a, b in reached for c, d in edges if b == c} - reached
        if not more:
            break
        reached |= more
    assert not [one for one, other in reached if one == other]


@pytest.mark.parametrize(
    "source, found",
    [
        ("def f():\n    from maxspan.cli import main\n", "cli"),
        ("import maxspan.server.app\n", "server"),
        ("from maxspan import api\n", "api"),
        ("from ..sinks.style import shown\n", "sinks"),
    ],
)
def test_every_form_of_import_is_seen(source: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "maxspan"
    (package / "rules").mkdir(parents=True)
    module = package / "rules" / "sample.py"
    module.write_text(source)
    monkeypatch.setitem(globals(), "PACKAGE", package)
    assert found in {part for _, part in imported_parts(module)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_stay_short_and_well_named(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST
    assert path.stem not in FORBIDDEN_NAMES
    assert path.parent.name not in FORBIDDEN_NAMES


def ours() -> list[Path]:
    """Give the text files of the project that people write."""
    folders = ("src", "tests", "rules", "docs", "benchmarks", "lab", ".ci")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    files += [path for path in ROOT.iterdir() if path.is_file()]
    return [path for path in files if path.suffix in TEXT_SUFFIXES or path.name in ("Makefile", "run")]


def test_no_word_of_where_it_was_written() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in ours()
        if not {"__pycache__", ".venv"} & set(path.parts)
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert not wrong, "\n".join(wrong)
