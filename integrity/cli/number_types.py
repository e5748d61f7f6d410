"""Types of the options that take a number: one each for numbers, integers and lengths of time, all of them bounded."""

from dataclasses import dataclass
from typing import Any

import click

from integrity.numbers import DURATION_S_MOST, SEED_MOST, read_duration, read_integer, read_number


@dataclass(frozen=True)
class NumberType(click.ParamType[float]):
    """A number from least to most, both included."""

    least: float
    most: float
    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):  # a default of ours
            return float(value)
        try:
            return read_number(value, least=self.least, most=self.most)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True)
class Integer(click.ParamType[int]):
    """An integer from least to most, both included; without bounds what it counts is bounded where it is known."""

    least: int | None = None
    most: int | None = None
    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return read_integer(value, least=self.least, most=self.most)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True)
class Duration(click.ParamType[float]):
    """Seconds, as "90", "90s", "500ms", "20m", "1h30m" or "2.5s"."""

    least_s: float = 0.0
    most_s: float = DURATION_S_MOST
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return read_duration(value, least_s=self.least_s, most_s=self.most_s)
        except ValueError as error:
            self.fail(str(error), param, ctx)


SEED = Integer(0, SEED_MOST)
"""Of every random choice."""
