"""The command `integrity`: a group of commands, each a module of this folder, imported when it is run."""

import difflib
import importlib
import sys
from typing import Any

import click

import integrity
from integrity.errors import AuditError
from integrity.verdict import ExitCode

COMMANDS = {
    "demo": "See it all in about a minute.",
    "seed": "Fill the database with a consistent world.",
    "snapshot": "Keep the test database as it is now, under a name.",
    "restore": "Put the test database back as a snapshot has it.",
    "rollback": "Remove what seed and run have made.",
    "run": "Hammer a system with concurrent clients.",
    "suite": "Run a list of profiles, judge the data after each, report on all.",
    "faults": "List what can go wrong on purpose in a run.",
    "validate": "Check every invariant on one snapshot.",
    "list": "List the invariants.",
    "queries": "Ask the named queries, and hold them against their limits.",
    "explain": "Show one invariant with its query.",
    "race": "Search the orders of concurrent calls for one that breaks the data.",
    "replay": "Play a race that was found again.",
    "reproduce": "From a violated row to the shortest schedule that breaks it.",
    "health": "Check a database before a run, and what is left open after it.",
    "stop": "End a running run in good order.",
    "monitor": "Watch a database and processes while anything loads them.",
    "db": "Start, stop and enter the embedded PostgreSQL.",
}


class LazyGroup(click.Group):
    """Imports a command's module only when it is run; `--help` and `--version` stay fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"integrity.cli.{cmd_name}_command")
        command: click.Command = module.command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"no such command {args[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(integrity.__version__, prog_name="integrity")
def group() -> None:
    """Find what must never be in a database: duplicates, negative balances, lost or doubled money.

    Example: integrity demo
    """


def _describe(error: click.ClickException) -> str:
    """Return click's message as one paragraph of ours, with the next step."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "integrity"
    message = error.format_message().rstrip(".")
    return f"{message[:1].lower()}{message[1:]}\n  hint: See `{path} --help`."


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code; an error of the user's is printed without a traceback, with exit code 2."""
    try:
        code: Any = group.main(arguments, prog_name="integrity", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(ExitCode.USAGE)
    except click.ClickException as error:
        click.echo(f"integrity: {_describe(error)}", err=True)
        sys.exit(ExitCode.USAGE)
    except AuditError as error:
        click.echo(f"integrity: {error}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("integrity: interrupted", err=True)
        sys.exit(ExitCode.INTERRUPTED)
    sys.exit(code if isinstance(code, int) else ExitCode.OK)
