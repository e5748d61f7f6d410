"""What the settings of every past are made of: the file `seeds/<name>.toml` of a seeder, read and checked."""

import tomllib
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from integrity.errors import UsageError

Share = Annotated[float, Field(ge=0, le=1)]

DAY_MS = 86_400_000


class Strict(BaseModel):
    """Refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Past = TypeVar("Past", bound=Strict)


def read_past(past: type[Past], file: Path, *, called: str = "the past") -> Past:
    """Return the settings of the file.

    Args:
        called: what a message names where what is wrong is not one value.

    Raises:
        UsageError: it cannot be read, or what it says cannot be.
    """
    try:
        return past.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or called
        raise UsageError(
            f"{file}: {where}: {first['msg']}", hint="The file's own comments say what each value is."
        ) from None
