"""The command `integrity`: a group of commands, each a module of this folder, imported when it is run."""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import integrity
from integrity.cli.boundary import Boundary
from integrity.cli.usage import UnknownCommand
from integrity.exit_codes import ExitCode
from integrity.report.terminal import flush_result
from integrity.typed import forget_given
from integrity.user_code import forget_claims

COMPLETION_VARIABLE = "_INTEGRITY_COMPLETE"

COMMANDS = {
    "demo": "See it all in about a minute.",
    "init": "Write a project that fits your database.",
    "new": "Write an invariant, an operation or a query to go on with.",
    "seed": "Fill the database with a consistent world.",
    "snapshot": "Keep the test database as it is now, under a name.",
    "restore": "Put the test database back as a snapshot has it.",
    "rollback": "Remove what seed and run have made.",
    "run": "Hammer a system with concurrent clients.",
    "serve": "Answer a system's operations over HTTP.",
    "serve-dependencies": "Be the outside parties of systems: mint, relay, providers.",
    "suite": "Run a list of profiles, judge the data after each, report on all.",
    "faults": "List what can go wrong on purpose in a run.",
    "proxy": "Stand in front of an application: record, and break the wire on purpose.",
    "validate": "Check every invariant on one snapshot.",
    "list": "List the invariants.",
    "queries": "Ask the named queries, and hold them against their limits.",
    "explain": "Show one invariant with its query.",
    "race": "Search the orders of concurrent calls for one that breaks the data.",
    "replay": "Play a race that was found again.",
    "reproduce": "From a violated row to the shortest schedule that breaks it.",
    "health": "Check a database before a run, and what is left open after it.",
    "stop": "End a running run in good order.",
    "forget": "Give up a run whose history is lost.",
    "monitor": "Watch a database and processes while anything loads them.",
    "skill": "Print how an agent goes from a suspicion to a proving test.",
    "mcp": "Serve the project to an agent, read only unless told otherwise.",
    "db": "Start, stop and enter the embedded PostgreSQL.",
}


class LazyGroup(click.Group):
    """Imports a command's module only when it is run; `--help` and `--version` stay fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"integrity.cli.{cmd_name.replace('-', '_')}_command")
        command: click.Command = module.command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            raise UnknownCommand(args[0], ctx)
        if args and isinstance(ctx.obj, Boundary):
            ctx.obj.command = args[0]
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(integrity.__version__, prog_name="integrity")
@click.option("--json", "is_json", is_flag=True, help="Without a command: what this folder is, as machine-readable output.")
@click.pass_context
def group(context: click.Context, *, is_json: bool) -> int:
    """Find what must never be in a database: duplicates, negative balances, lost or doubled money.

    Without a command: what this folder is, and what to type next.

    Example: integrity demo
    """
    if context.invoked_subcommand is None:
        from integrity.cli.options import open_project
        from integrity.jobs.about import look_at
        from integrity.report.about_text import write_about

        write_about(look_at(open_project(Path())), is_json=is_json)
    elif is_json:
        raise click.UsageError(f"--json stands behind the command: integrity {context.invoked_subcommand} --json")
    return ExitCode.OK


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code; whatever goes wrong is one paragraph on stderr (boundary.py)."""
    if COMPLETION_VARIABLE in os.environ:  # the shell asks what could come next
        group.main(prog_name="integrity")
    words = list(sys.argv[1:] if arguments is None else arguments)
    boundary = Boundary(words)
    forget_claims()
    try:
        with boundary.around_threads():
            code = boundary.outcome(invoke(words, boundary))
            flush_result()
    except SystemExit:
        raise
    except BaseException as error:
        try:
            code = boundary.end(error)
        except KeyboardInterrupt:
            code = ExitCode.INTERRUPTED
    sys.exit(code)


def invoke(words: Sequence[str], boundary: Boundary | None = None) -> int:
    """Run a command and return its exit code; errors come out as they are.

    Args:
        boundary: is told which command it is and which project it works in.
    """
    try:
        with group.make_context("integrity", list(words)) as context:
            if boundary is not None:
                context.obj = boundary
            code: Any = group.invoke(context)
    except click.exceptions.Exit as ended:  # of --help and --version
        return ended.exit_code
    finally:
        forget_given()
    return code if isinstance(code, int) else ExitCode.OK
