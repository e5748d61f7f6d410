"""What click finds wrong with a command line, as one paragraph of ours with the next step."""

import click

from integrity.cli.known_names import KnownName
from integrity.errors import quote
from integrity.suggestion import suggest

DESTRUCTIVE = frozenset({"restore", "rollback", "forget", "stop", "reset"})
"""Commands, of any group, that take away or end what is there: they are never suggested, but must be spelt out."""


class UnknownCommand(click.UsageError):
    """There is no such command."""

    def __init__(self, command_name: str, context: click.Context) -> None:
        super().__init__(f"no such command {quote(command_name)}", context)
        self.command_name = command_name


def describe_usage(error: click.ClickException, command: str) -> str:
    """Return click's message as one paragraph of ours, with the next step."""
    context = error.ctx if isinstance(error, click.UsageError) else None  # of an option without its value there is none
    path = context.command_path if context else "integrity" if command == "integrity" else f"integrity {command}"
    meant = _suggest(error, context) if context is not None else ""
    message = (error.format_message() if not meant or not error.message else error.message).rstrip(".")
    return f"{message[:1].lower()}{message[1:]}\n  hint: {f'{meant} ' if meant else ''}See `{path} --help`."


def _suggest(error: click.ClickException, context: click.Context) -> str:
    """Return which command, option or name could have been meant, in our words and not in click's; empty: none is near."""
    if isinstance(error, click.MissingParameter) and error.param is not None and isinstance(error.param.type, KnownName):
        return error.param.type.list_known(context)
    if isinstance(error, click.NoSuchOption):
        options = [option for parameter in context.command.get_params(context) for option in parameter.opts]
        return suggest(error.option_name, options)
    name: str | None = getattr(error, "command_name", None)  # of click's own exception, too, from 8.4 on
    if name is not None and isinstance(context.command, click.Group):
        return suggest(name, set(context.command.list_commands(context)) - DESTRUCTIVE)
    return ""
