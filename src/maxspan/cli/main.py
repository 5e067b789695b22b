"""The command line: one file a command, each imported only when it is called, so that `--help` stays fast."""

from __future__ import annotations

import importlib
import platform
from typing import Final

import click

from maxspan import __version__

#: name -> (module with a `command`, one line of help). The order is the order of `--help`.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "scan": ("maxspan.cli.scan", "Run rules over event files and print the alerts."),
    "query": ("maxspan.cli.query", "Hunt with one EQL query over event files."),
    "rules": ("maxspan.cli.rules", "List, show, check and prove rules."),
    "watch": ("maxspan.cli.watch", "Watch this Linux host live and run rules on what happens."),
    "record": ("maxspan.cli.record", "Record this host's events to a file."),
}


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own and are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from maxspan.engine.kernel import native

        kernel = "compiled" if native.scan is not None else "in Python (slower, see docs/kernel.md)"
        click.echo(f"maxspan {__version__}, kernel {kernel}, Python {platform.python_version()}")
        context.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version and exit."
)
def main() -> None:
    """Run Elastic's detection rules anywhere: over files, live on a Linux host. No Elasticsearch needed.

    Exit status: 0 = ran, 1 = alerts with --fail-on-alert, 2 = bad usage or rules, 3 = events were lost or unreadable
    under --strict, 4 = results could not be written, 130 = Ctrl-C, 141 = the reader of the output went away.
    """


if __name__ == "__main__":
    main()
