"""PostgreSQL URLs: read as libpq reads them, kept without showing a password, and handed on as libpq takes them.

libpq takes more than other URLs have: several hosts with ports, user and password among the options, a service of a file,
blanks as %20. So libpq itself takes the text apart, and gets the parts back as a connection string; our URL is only what
holds them.
"""

import os
import re
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from integrity.engines.url import Secret, Unreadable, Url

SCHEME = re.compile(r"postgres(?:ql)?(?:\+\w+)?://")


def read_url(text: str) -> Url:
    """Return the URL.

    Raises:
        Unreadable: libpq does not take it, or would take a part of the password for something else.
    """
    try:
        options: dict[str, Any] = conninfo_to_dict(SCHEME.sub("postgresql://", text, count=1))
    except psycopg.ProgrammingError as error:
        reason = " ".join(str(error).split())
        # What libpq could not read may be a part of a password; the name of an option is none.
        raise Unreadable(reason if "query parameter" in reason else reason.partition('"')[0].strip()) from None
    options = {name: str(value) for name, value in options.items()}
    if found := _of_service(options.get("service", "")):
        del options["service"]
        options = found | options
    host, port = options.get("host", ""), options.get("port", "")
    if "@" in host or "@" in options.get("dbname", "") or not re.fullmatch(r"[0-9,]*", port):
        raise Unreadable("a password with @, / or : in it has to be written with %40, %2F or %3A")
    # A socket's folder, several hosts, a service's port: there is no place for them but among the options.
    is_plain = bool(host) and "/" not in host and "," not in host and (not port or port.isdecimal())
    main = {name: options.pop(name, None) for name in ("user", "password", "dbname")}
    if is_plain:
        del options["host"]
        options.pop("port", None)
    return Url(
        "postgresql",
        username=main["user"],
        password=main["password"],
        host=host if is_plain else None,
        port=int(port) if is_plain and port else None,
        database=main["dbname"],
        query=options,
    )


def _of_service(name: str) -> dict[str, str]:
    """Return what a service file says of a service; nothing where there is none, of which libpq tells when it connects."""
    if not name:
        return {}
    usual, before = _defaults(), os.environ.get("PGSERVICE")
    os.environ["PGSERVICE"] = name  # the one way to have libpq read the file without connecting
    try:
        return {key: value for key, value in _defaults().items() if key != "service" and usual.get(key) != value}
    finally:
        del os.environ["PGSERVICE"]
        if before is not None:
            os.environ["PGSERVICE"] = before


def _defaults() -> dict[str, str]:
    options = pq.Conninfo.get_defaults()
    return {option.keyword.decode(): option.val.decode() for option in options if option.val is not None}


def connection_string(url: Url) -> str:
    """Return what libpq connects with, passwords and all."""
    return make_conninfo(**options_of(url))


def options_of(url: Url) -> dict[str, str]:
    """Return libpq's options by name, passwords as plain text."""
    parts = {"user": url.username, "password": url.password, "host": url.host, "port": url.port, "dbname": url.database}
    options = {name: _plain(value) for name, value in parts.items() if value is not None}
    return options | {name: _plain(value) for name, value in url.query.items()}


def write_url(url: Url, *, shows_secrets: bool = False) -> str:
    """Return the URL as libpq reads it.

    Args:
        shows_secrets: write the passwords; else asterisks, which are not read back.
    """

    def encode(value: object, safe: str) -> str:
        if isinstance(value, Secret) and not shows_secrets:
            return "***"
        return quote(_plain(value), safe=safe)

    user = "" if url.username is None else encode(url.username, "")
    password = "" if url.password is None else f":{encode(url.password, '')}"
    host = f"[{url.host}]" if url.host and ":" in url.host else encode(url.host or "", "")
    port = "" if url.port is None else f":{url.port}"
    at = "@" if url.username is not None or url.password is not None else ""
    # A socket's folder reads as a path, and can be pasted as it is.
    options = "&".join(f"{quote(name, safe='')}={encode(value, '/,:')}" for name, value in url.query.items())
    database = "" if url.database is None else f"/{encode(url.database, '')}"
    return f"postgresql://{user}{password}{at}{host}{port}{database or '/' * bool(options)}{'?' * bool(options)}{options}"


def _plain(value: object) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)
