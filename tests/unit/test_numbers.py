"""Every number from outside is finite and bounded, wherever it is read."""

from contextlib import suppress
from typing import Any, get_args

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from integrity.cli.main import COMMANDS, group
from integrity.load.bounds import BoundedSettings
from integrity.load.profile import Burst, ClosedProfile, OpenProfile, Stream, Subscribers
from integrity.load.shape import LoadStage, LoadSteps
from integrity.load.suite import Suite, SuiteRun
from integrity.load.thresholds import Threshold
from integrity.numbers import DURATION_S_MOST, read_duration, read_integer, read_number
from integrity.systems.service import ServiceSettings


@given(st.one_of(st.text(max_size=12), st.floats().map(str), st.integers().map(str)))
def test_a_number_that_is_read_is_finite_and_within_its_bounds(text: str) -> None:
    with suppress(ValueError):
        assert 0.5 <= read_number(text, least=0.5, most=1000) <= 1000


@given(st.one_of(st.text(max_size=50), st.integers().map(str)))
def test_an_integer_that_is_read_is_within_its_bounds(text: str) -> None:
    with suppress(ValueError):
        assert -3 <= read_integer(text, least=-3, most=20) <= 20


@pytest.mark.parametrize("text", ["inf", "nan", "-inf", "1e999", "9" * 5000, "", "1,5", "0x10"])
def test_what_is_no_number_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number from 0 to 10") as refused:
        read_number(text, least=0, most=10)
    assert len(str(refused.value)) < 200


def test_more_digits_than_python_reads_are_no_integer() -> None:
    with pytest.raises(ValueError, match=r"5,000 letters\) is not an integer from 0 to 9"):
        read_integer("9" * 5000, least=0, most=9)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("20m", 1200), ("1h30m", 5400), ("2.5s", 2.5), ("500ms", 0.5)]
)
def test_a_duration_is_read_in_any_of_its_units(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["0", "0s", "soon", "-1s", "1d", "inf", "nan", "721h", "9" * 400, "1e5", ""])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        read_duration(text)


def _commands(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
    inner = command.commands.items() if isinstance(command, click.Group) else ()
    return [(path, command), *(found for name, each in inner for found in _commands(each, f"{path} {name}"))]


def test_no_option_takes_a_number_of_another_type() -> None:
    context = click.Context(group)
    loose = []
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        for path, each in _commands(command, name):
            for option in each.params:
                ranged = isinstance(option.type, click.IntRange | click.FloatRange)
                if ranged or option.type in (click.INT, click.FLOAT):
                    loose.append(f"{path} {option.opts[0]}")
    assert loose == [], "use the types of integrity/cli/number_types.py"


def _numbers(model: type[BaseModel]) -> dict[str, Any]:
    """Return the fields of a settings model that are plain numbers, with their constraints."""
    fields = model.model_fields.items()
    return {name: field for name, field in fields if field.annotation in (int, float, int | None, float | None)}


@pytest.mark.parametrize("model", [OpenProfile, ClosedProfile, SuiteRun, Suite])
@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e300])
def test_a_setting_that_is_a_number_is_finite_and_bounded(model: type[BoundedSettings], value: float) -> None:
    for name in _numbers(model):
        with pytest.raises(ValidationError) as refused:
            model.model_validate({name: value})
        assert any(error["loc"][-1:] == (name,) for error in refused.value.errors()), f"{model.__name__}.{name} = {value}"


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e300, -1.0])
def test_a_limit_is_finite_and_bounded(value: float) -> None:
    with pytest.raises(ValidationError):
        Threshold.model_validate({"statistic": "p95", "most": value, "source": "a test"})


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -0.1, 1e300])
@pytest.mark.parametrize("name", ["latency_most_s", "timeout_share", "retry_s", "drop_share"])
def test_a_service_keeps_to_its_bounds(name: str, value: float) -> None:
    class Holder(BoundedSettings):
        service: ServiceSettings

    with pytest.raises(ValidationError, match=name):
        Holder.model_validate({"service": {name: value}})


def test_a_share_above_one_is_no_share() -> None:
    with pytest.raises(ValueError, match=r"timeout_share: 1\.5 is not a number from 0 to 1"):
        ServiceSettings(timeout_share=1.5)


def test_every_duration_of_settings_is_bounded() -> None:
    loose = []
    for model in (OpenProfile, ClosedProfile, Stream, Burst, Subscribers, LoadStage, LoadSteps, SuiteRun):
        for name, field in model.model_fields.items():
            if name.endswith("_s") and not any(
                getattr(each, "le", None) == DURATION_S_MOST for each in _constraints(field)
            ):
                loose.append(f"{model.__name__}.{name}")
    assert loose == []


def _constraints(field: FieldInfo) -> list[object]:
    """Return what bounds a field, also inside of `Seconds | None`."""
    inner = [each for part in get_args(field.annotation) for each in get_args(part)[1:]]
    return [*field.metadata, *(bound for each in inner for bound in getattr(each, "metadata", ()))]
