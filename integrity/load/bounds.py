"""Settings that profiles and suites are made of: a misspelt key is an error, and every number is finite and has a bound.

The bounds are those of the command line (numbers.py).
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from integrity.numbers import CLIENTS_MOST, CONNECTIONS_MOST, DURATION_S_MOST, FACTOR_LEAST, FACTOR_MOST

AMOUNT_MOST = 1e9

Seconds = Annotated[float, Field(gt=0, le=DURATION_S_MOST)]
Amount = Annotated[float, Field(ge=0, le=AMOUNT_MOST)]
"""How much of something: weights, limits in ms or MB, arrivals a minute where they may be 0."""

Rate = Annotated[float, Field(gt=0, le=AMOUNT_MOST)]
Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=FACTOR_LEAST, le=FACTOR_MOST)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
ClientCount = Annotated[int, Field(ge=1, le=CLIENTS_MOST)]
ConnectionCount = Annotated[int, Field(ge=1, le=CONNECTIONS_MOST)]


class BoundedSettings(BaseModel):
    """Settings in which a misspelt key is an error, and infinity and NaN are no numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
