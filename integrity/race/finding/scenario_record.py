"""What a finding of requests was made of: its scenario, as it was declared, with variables in place of secrets."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class ScenarioRecord(BaseModel):
    """A scenario in a finding.

    Args:
        name: of its file in scenarios/; empty: it was given as curl lines.
        digest: of all that is raced: equal for equal races, wherever the application runs.
        token: plays the same schedule again against the same scenario; empty: it is too long for one.
        kept: the actors that the finding needs, by their numbers, each with its requests.
        given: the scenario's tables.
        requests: those of integrity.toml that it names.
        files: of SQL that it names, each with a hash.
        variables: of the environment, that stand for secrets.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    digest: str
    token: str = ""
    kept: tuple[tuple[int, tuple[int, ...]], ...] = ()
    given: Mapping[str, Any]
    requests: Mapping[str, Any] = {}
    files: Mapping[str, str] = {}
    variables: tuple[str, ...] = ()

    @property
    def is_of_functions(self) -> bool:
        """It is of functions that a test calls, and of no requests; `given` has their names as `calls`."""
        return "calls" in self.given

    @property
    def is_of_requests(self) -> bool:
        """It is of a scenario."""
        return not (self.is_of_functions or self.is_of_pass)

    @property
    def is_of_pass(self) -> bool:
        """It is of transactions of a recorded pass, whose values the next one may not have."""
        return "transactions" in self.given

    @property
    def shown(self) -> str:
        """What it is called."""
        return f"scenarios/{self.name}.toml" if self.name else "the scenario of the curl lines"

    @property
    def commit(self) -> str:
        """Which version of the application it was found in, as [app] commit says."""
        app = self.given.get("app")
        return str(app.get("commit", "")) if isinstance(app, Mapping) else ""
