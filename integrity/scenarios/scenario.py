"""What a scenario says: the models of `scenarios/NAME.toml`. `reading.py` makes them of a file."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

ACTORS_MOST = 8
REQUESTS_MOST = 5


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_by_name=True)


class RequestTable(Table):
    """A request, as a table or as one line.

    Args:
        request: a line: "POST /pay {...}", a curl line, or the name of one that integrity.toml declares.
        method: of HTTP.
        url: whole, or a path at the application's address.
        headers: by name.
        cookies: a table of names and values, or a list of lines as a browser shows them.
        body: sent as it is written.
        json: a table or list, sent as JSON.
        form: a table, sent as a form.
        expected: statuses that are right: 201, "2xx" or a list; all below 400 unless it says.
        take: name -> where its value is in the answer: "$.data[0].id", "header Location", "regex id=(\\d+)".
        redirects: follow where an answer points to.
        insecure: do not look at the server's certificate.
    """

    request: str = ""
    method: str = ""
    url: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    cookies: dict[str, str] | list[str] = Field(default_factory=dict)
    body: str | None = None
    json_body: Any = Field(default=None, alias="json")
    form: dict[str, str | int | bool | float] | None = None
    expected: int | str | list[int | str] | None = None
    take: dict[str, str] = Field(default_factory=dict)
    redirects: bool = False
    insecure: bool = False

    @model_validator(mode="before")
    @classmethod
    def _of_line(cls, given: Any) -> Any:
        return {"request": given} if isinstance(given, str) else given


class App(Table):
    """[app]: the application.

    Args:
        command: starts it, in a shell, with $PORT, DATABASE_URL and PG* of the database set; empty: it is running already.
        url: its address; ${PORT} in it is a free port.
        env: more variables of its environment.
        ready: it is ready when this path is answered, or this port is listened at; the port of its address unless said.
        ready_s: that it may take until then.
        ignore: statements that are no request's: "application_name=worker*" of connections, or a text's, "*from jobs*".
        commit: which version of it this is, as noted with what is found.
        proxy: the port of our proxy, where the application is running already: its connections must lead there.
    """

    command: str = ""
    url: str = ""
    env: dict[str, str] = Field(default_factory=dict)
    ready: str | int | None = None
    ready_s: float = Field(default=30.0, gt=0, le=600)
    ignore: list[str] = Field(default_factory=list)
    commit: str = ""
    proxy: int = Field(default=6543, ge=1, le=65535)


class Database(Table):
    """[database]: which one the application works on; of the project unless said.

    Args:
        url: its address.
        name: another one on that server.
    """

    url: str | None = None
    name: str | None = None


class Setup(Table):
    """[setup]: what makes the rows, in this order.

    Args:
        sql: statements, or the name of a file of them.
        python: "module:function"; it is given the database's URL, and may return values by name.
        shell: a command, in the environment of the application.
        requests: sent one behind the other; what they `take` are values of the actors.
        once: before the first schedule only; else before each.
    """

    sql: str | None = None
    python: str | None = Field(default=None, pattern=r"^[^\W\d][\w.]*:[^\W\d][\w.]*$")
    shell: str | None = None
    requests: list[RequestTable] = Field(default_factory=list)
    once: bool = False


class Login(Table):
    """[login]: made once; its cookies, and its bearer token, are each actor's.

    Args:
        requests: sent one behind the other.
        bearer: where in the last answer a token is, as in `take`.
    """

    requests: Annotated[list[RequestTable], Field(min_length=1)]
    bearer: str | None = None


class ActorTable(Table):
    """[[actors]]: who races: requests or a command.

    Args:
        name: as reports call it; made of its first request unless said.
        requests: one to five, sent one behind the other.
        command: a command that does it, one process each.
        count: so many of them at once.
    """

    name: str = ""
    requests: Annotated[list[RequestTable], Field(max_length=REQUESTS_MOST)] = Field(default_factory=list)
    command: str = ""
    count: int = Field(default=1, ge=1, le=ACTORS_MOST)


class Volatile(Table):
    """`volatile` of [expect]: what differs from run to run, and is compared with nothing.

    Args:
        columns: "table.column" or "column".
        fields: of answers: "created_at", "data.id", or with * in them.
    """

    columns: list[str] = Field(default_factory=list)
    fields: list[str] = Field(default_factory=list)


class Expect(Table):
    """[expect]: what must be true after each schedule, beside that some serial order explains it.

    Args:
        invariants: names or patterns of those that are asked; all of the project's own unless said.
        exactly_one: so is exactly one actor answered: a status.
        statuses: no other status is right: 200, "2xx".
        declines: answers of 4xx that are right: statuses, or words in them; all unless said.
        volatile: what differs from run to run.
    """

    invariants: list[str] = Field(default_factory=list)
    exactly_one: int | None = Field(default=None, ge=100, le=599)
    statuses: list[int | str] = Field(default_factory=list)
    declines: list[int | str] | None = None
    volatile: Volatile = Field(default_factory=Volatile)


class Scenario(Table):
    """scenarios/NAME.toml.

    Args:
        title: in a few words.
        app: the application.
        database: which one it works on.
        values: for {name} in requests.
        setup: what makes the rows.
        login: made once, for each actor.
        actors: who races.
        expect: what must be true.
    """

    title: str = ""
    app: App = Field(default_factory=App)
    database: Database = Field(default_factory=Database)
    values: dict[str, Any] = Field(default_factory=dict)
    setup: Setup = Field(default_factory=Setup)
    login: Login | None = None
    actors: Annotated[list[ActorTable], Field(min_length=1)]
    expect: Expect = Field(default_factory=Expect)

    @property
    def has_application(self) -> bool:
        """Somebody answers requests; else all that acts is commands."""
        is_asked = bool(self.setup.requests or self.login or any(actor.requests for actor in self.actors))
        return is_asked or bool(self.app.command or self.app.url)

    @property
    def makes_nothing(self) -> bool:
        """It makes no rows before a schedule, and nobody logs in."""
        return self.login is None and self.setup == Setup(once=self.setup.once)

    @property
    def is_started_here(self) -> bool:
        """All that acts is started by us, and so is led to a copy of the database."""
        return bool(self.app.command) or not self.has_application
