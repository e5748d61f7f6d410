"""What [targets.NAME] of integrity.toml says: the models. `requested.py` makes a system of them."""

from typing import Any

from pydantic import Field, model_validator

from integrity.scenarios.scenario import Login, RequestTable, Table


class CheckTable(Table):
    """`checks` of a request: what each answer is checked for; all that one names must hold.

    Args:
        name: as results and thresholds call it; made of what it checks unless said.
        status: 200, "2xx", "200-204" or a list.
        path: where in the body something is: "$.id".
        equals: what is there; anything unless said.
        under_ms: so fast it came, from when the request was sent.
    """

    name: str = ""
    status: int | str | list[int | str] | None = None
    path: str = Field(default="", pattern=r"^$|^\$")
    equals: Any = None
    under_ms: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _checks_something(self) -> "CheckTable":
        if "equals" in self.model_fields_set and not self.path:
            raise ValueError("equals is of what stands at a path, and there is none")
        if self.status is None and not self.path and self.under_ms is None:
            raise ValueError("it checks nothing: say status, path or under_ms")
        return self


class TargetRequestTable(RequestTable):
    """`[targets.NAME.requests.pay]`: what a request in a scenario says, and how clients under load make it.

    Args:
        weight: how often it is made, relative to the others; 0: only where a profile or another request asks for it.
        after: a request, whose answer's values it has: the client that was answered makes this one next.
        think_s: so long a client waits before it, where it has no time of its own.
        declined: which answers are a correct no: statuses, or words in them; unless said all of 4xx but 401, 403, 404, 405.
        checks: of each answer.
    """

    weight: float = Field(default=1.0, ge=0, le=1_000_000)
    after: str = ""
    think_s: float = Field(default=0.0, ge=0, le=3600)
    declined: list[int | str] | None = None
    checks: list[CheckTable] = Field(default_factory=list)


class TargetTable(Table):
    """`[targets.NAME]`: an application that is asked over HTTP.

    Args:
        url: its address; one that is not on this machine may be loaded where it stands here.
        requests: what is asked of it, by name.
        values: name -> what `{name}` in requests is drawn from: "key of wallets", "integer 1..500", "counter 1000".
        login: made once, and anew where an answer is 401; its cookies, and its bearer token, are in each request.
    """

    url: str = ""
    requests: dict[str, TargetRequestTable] = Field(default_factory=dict)
    values: dict[str, str | int | float | bool] = Field(default_factory=dict)
    login: Login | None = None
