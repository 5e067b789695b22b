"""The documentation and the program say the same: commands, options, error codes, functions, pages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import maxspan
from maxspan.cli.main import COMMANDS, main
from maxspan.languages.eql.functions import FUNCTIONS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SOURCES = sorted((ROOT / "src").rglob("*.py"))
#: calls that name an error code, and at which place
NAMING = {"Problem": 0, "QueryError": 0, "Complaint": 0, "fail": 0, "_problem": None, "Unfinished": None}
CODE = re.compile(r"[a-z]+(?:-[a-z0-9]+)*")


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))
    else:
        yield path, command


ALL = dict(commands(main))


def error_codes() -> set[str]:
    out: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name not in NAMING or NAMING[name] is None or not node.args:
                continue
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str) and CODE.fullmatch(first.value):
                out.add(first.value)
    return out


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_and_option_is_in_the_reference(path: tuple[str, ...]) -> None:
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    section = re.search(rf"^## maxspan {' '.join(path)}$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert section, f"docs/commands.md lacks maxspan {' '.join(path)}; run: make reference"
    help_text = ALL[path].get_help(
        click.Context(ALL[path], info_name=" ".join(("maxspan", *path)), max_content_width=80)
    )
    for parameter in ALL[path].params:
        for option in parameter.opts if isinstance(parameter, click.Option) else ():
            assert option in section[1], f"{option} is not documented; run: make reference"
    assert help_text.splitlines()[2].strip().split("\n")[0][:40] in section[1], "the text differs; run: make reference"


def test_the_table_of_commands_is_the_group() -> None:
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert all(f"maxspan {name}" in page for name in COMMANDS)


def test_every_error_code_is_documented() -> None:
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    missing = sorted(code for code in error_codes() if f"`{code}`" not in page)
    assert missing == []


@pytest.mark.parametrize("name", sorted(signature.name for signature in FUNCTIONS.values()))
def test_every_function_is_documented(name: str) -> None:
    assert f"| `{name}(" in (DOCS / "eql.md").read_text(encoding="utf-8")


def test_every_public_name_is_documented() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    for name in ("parse", "evaluate", "query", "load_rules", "scan", "Match", "Ruleset", "QueryError"):
        assert name in maxspan.__all__ and f"`{name}" in page


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    assert [page for page in pages if page not in navigation] == []


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_readme_opens_with_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make demo" in text[:900] and "make test" in text[:1200]
