"""A command whose options are given once, but for those of several values: of two the last alone would count, unsaid."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import click

from integrity.errors import UsageError, quote


class OnceCommand(click.Command):
    """See the module."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given: dict[str, list[str]] = defaultdict(list)
        for option, value in _values(self.get_params(ctx), args):
            given[option].append(value)
        for option, values in given.items():
            if len(values) > 1 and not ctx.resilient_parsing:
                raise UsageError(
                    f"{option} is given {len(values)} times, {' and '.join(map(quote, values))}, and takes one value",
                    hint=_HINTS.get(option, "Leave all but one out, or give the command once for each."),
                )
        return super().parse_args(ctx, args)


_HINTS = {
    "--scenario": "One scenario is raced at a time: give the command once for each. To race the requests "
    "of both with each other, write their [[actors]] into one file.",
    "--learn": "Give the command once for each, or write the [[actors]] of both into one file.",
    "--app": "One application is raced at a time: several of its requests are several --curl.",
}


def _values(parameters: Sequence[click.Parameter], words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each option of one value as it is given, by its long name, with its value."""
    options = {name: each for each in parameters if isinstance(each, click.Option) for name in each.opts}
    left = iter(words)
    for word in left:
        if word == "--":
            return
        name, has_value, value = word.partition("=")
        option = options.get(name)
        if option is None or option.is_flag or option.count:
            continue
        value = value if has_value else next(left, "")
        if not option.multiple:
            yield max(option.opts, key=len), value
