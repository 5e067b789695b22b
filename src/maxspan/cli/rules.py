"""`maxspan rules`: the group of commands about rules, each imported only when it is called."""

from __future__ import annotations

import importlib
from typing import Final

import click

#: name -> (module with a `command`, one line of help). The order is the order of `--help`.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "list": ("maxspan.cli.rules_list", "List rules, by type, severity, tag, tactic, technique, system."),
    "show": ("maxspan.cli.rules_show", "Show what a rule looks for, its guide and related rules."),
    "check": ("maxspan.cli.rules_check", "Say what is wrong with rule files, for people and for CI."),
    "prove": ("maxspan.cli.rules_prove", "Find events that make each rule fire, and the nearest that do not."),
}


class RulesGroup(click.Group):
    """Knows its commands by name and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group("rules", cls=RulesGroup, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """List, show, check and prove rules.

    Rules are Elastic rule files (TOML), exports of Kibana (NDJSON, JSON) and behaviour rules of Elastic Endpoint
    (TOML). Without a path the rules that come with maxspan are meant.
    """
