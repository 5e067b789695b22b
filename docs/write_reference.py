"""Write docs/commands.md from the help texts: `make reference`."""

from __future__ import annotations

from pathlib import Path

import click

from maxspan.cli.main import main


def sections(command: click.Command, path: tuple[str, ...] = ()) -> list[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        names = command.list_commands(context)
        found = [(name, command.get_command(context, name)) for name in names]
        return [text for name, inner in found if inner for text in sections(inner, (*path, name))]
    name = " ".join(("maxspan", *path))
    context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
    return [f"## {name}\n\n```text\n{command.get_help(context)}\n```\n"]


def write() -> None:
    head = "# Commands\n\nThe help text of every command; `maxspan COMMAND --help` prints it.\n\n"
    (Path(__file__).parent / "commands.md").write_text(head + "\n".join(sections(main)), encoding="utf-8")


if __name__ == "__main__":
    write()
