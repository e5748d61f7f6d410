"""The URL of a database: its parts, as a value that nothing prints with a password.

`Url.parse` takes a text apart as SQLAlchemy does, for every kind of database but PostgreSQL, whose URLs libpq itself reads
(postgresql/url.py). A type of our own, because importing SQLAlchemy's takes longer than an audit of one invariant.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote_plus, unquote

_FORM = re.compile(
    r"""
    (?P<drivername>[\w+]+)://
    (?:(?P<username>[^:/]*)(?::(?P<password>[^@]*))?@)?
    (?:\[(?P<ipv6>[^/?]+)\]|(?P<host>[^/:?]+))?
    (?::(?P<port>[^/?]*))?
    (?:/(?P<database>[^?]*))?
    (?:\?(?P<query>.*))?
    """,
    re.VERBOSE,
)


class Unreadable(ValueError):
    """The text is no URL of its engine; the message says why, without a password."""


class Secret(str):
    """A password that whoever prints it, encodes it or puts it into a URL finds to be three asterisks."""

    _value: str

    def __new__(cls, value: str) -> "Secret":
        secret = super().__new__(cls, "***")
        secret._value = value
        return secret

    def __eq__(self, other: object) -> bool:
        return self._value == (other._value if isinstance(other, Secret) else other)

    def __hash__(self) -> int:
        return hash(self._value)

    def reveal(self) -> str:
        """Return the password itself: for connecting only."""
        return self._value


def is_secret(option: str) -> bool:
    """Whether an option's value is never to be shown."""
    return "password" in option.lower()


@dataclass(frozen=True)
class Url:
    """A database URL, taken apart.

    Args:
        drivername: the kind of database, "postgresql", and a driver, as "+psycopg", where one is named.
        password: becomes a Secret, as every password among the options does.
        query: the options; where one is said twice, the last.
    """

    drivername: str
    username: str | None = None
    password: str | None = None
    host: str | None = None
    port: int | None = None
    database: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Url":
        """Return the URL that the text is.

        Raises:
            ValueError: it is none; the message may hold a password.
        """
        match = _FORM.match(text)
        if match is None:
            raise ValueError(f"not a URL: {text!r}")
        return cls(
            match["drivername"],
            username=None if match["username"] is None else unquote(match["username"]),
            password=None if match["password"] is None else unquote(match["password"]),
            host=match["ipv6"] or match["host"],
            port=int(match["port"]) if match["port"] else None,
            database=match["database"],
            query=dict(parse_qsl(match["query"] or "")),
        )

    def __post_init__(self) -> None:
        if self.password is not None:
            object.__setattr__(self, "password", _hidden(self.password))
        query = {name: _hidden(value) if is_secret(name) else value for name, value in self.query.items()}
        object.__setattr__(self, "query", query)

    def __hash__(self) -> int:
        return hash(
            (self.drivername, self.username, self.host, self.port, self.database, tuple(sorted(self.query.items())))
        )

    @property
    def kind(self) -> str:
        """The kind of database, without a driver."""
        return self.drivername.partition("+")[0]

    def set(self, **parts: Any) -> "Url":
        """Return the URL with other parts."""
        return replace(self, **parts)

    def __str__(self) -> str:
        """The URL of a file, or of a server without its passwords."""
        user = "" if self.username is None else self.username
        at = f"{user}{'' if self.password is None else ':***'}@" if self.username or self.password is not None else ""
        port = "" if self.port is None else f":{self.port}"
        database = "" if self.database is None else f"/{self.database}"
        options = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in sorted(self.query.items()))
        return f"{self.drivername}://{at}{self.host or ''}{port}{database}{'?' * bool(options)}{options}"


def _hidden(value: str) -> Secret:
    return value if isinstance(value, Secret) else Secret(value)
