"""Requests of a scenario: a table, a line, a curl line or the name of one that integrity.toml declares."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from integrity.errors import UsageError, quote
from integrity.http.curl import is_curl, read_curl
from integrity.http.request import FORM_TYPE, JSON_TYPE, METHODS, Json, Raw, Request, check_url, read_inline, with_header
from integrity.http.statuses import read_statuses
from integrity.http.values import check_take
from integrity.scenarios.scenario import RequestTable
from integrity.scenarios.source import Source
from integrity.scenarios.target import TargetTable
from integrity.suggestion import suggest


def read_request(
    table: RequestTable, *, place: str, named: Mapping[str, Request] | None = None, folder: Path | None = None
) -> Request:
    """Return the request that a table says.

    Args:
        place: where it stands, for messages.
        named: requests that a line may name.
        folder: that names of files in curl lines are looked for in.

    Raises:
        UsageError: it cannot be used.
    """
    begun = _begin(table, place, named or {}, folder)
    headers = begun.headers
    for name, value in table.headers.items():
        headers = with_header(headers, name, value)
    if table.cookies:
        lines = table.cookies if isinstance(table.cookies, list) else [f"{n}={v}" for n, v in table.cookies.items()]
        headers = with_header(headers, "Cookie", "; ".join(line.partition(";")[0].strip() for line in lines))
    request = _with_body(replace(begun, headers=headers), table, place)
    for name, spelling in table.take.items():
        check_take(spelling, place=f"{place}: take.{name}")
    expected = None if table.expected is None else read_statuses(table.expected, place=f"{place}: expected")
    return replace(
        request,
        expected=expected or request.expected,
        takes={**request.takes, **table.take},
        follows_redirects=table.redirects or request.follows_redirects,
        is_insecure=table.insecure or request.is_insecure,
    )


def _begin(table: RequestTable, place: str, named: Mapping[str, Request], folder: Path | None) -> Request:
    line = table.request.strip()
    if not line:
        if not table.url:
            raise UsageError(
                f"{place}: a request without a url", hint='Write "POST /pay {...}", a curl line, or url = "/pay".'
            )
        check_url(table.url, place=place)
        has_body = table.body is not None or table.json_body is not None or table.form is not None
        return Request(_method(table.method or ("POST" if has_body else "GET"), place), table.url)
    if table.url or table.method:
        raise UsageError(
            f"{place}: `request` says already what `url` and `method` say", hint="Leave out the line, or the two."
        )
    if is_curl(line):
        return read_curl(line, place=place, folder=folder)
    if line in named:
        return named[line]
    if len(line.split()) == 1:
        raise UsageError(
            f"{place}: {quote(line)} is no request of integrity.toml",
            hint=suggest(
                line, named, otherwise='Write "POST /pay {...}" or a curl line, or declare [targets.NAME.requests].'
            ),
        )
    return read_inline(line, place=place)


def _method(method: str, place: str) -> str:
    if method.upper() not in METHODS:
        known = f"Known: {', '.join(METHODS)}."
        raise UsageError(f"{place}: {quote(method)} is no method", hint=suggest(method.upper(), METHODS, always=known))
    return method.upper()


def _with_body(request: Request, table: RequestTable, place: str) -> Request:
    given = [name for name in ("body", "json_body", "form") if getattr(table, name) is not None]
    if len(given) > 1:
        names = " and ".join(name.removesuffix("_body") for name in given)
        raise UsageError(f"{place}: {names} are both the body", hint="Leave one of them out.")
    if table.json_body is not None:
        return replace(request, body=Json(table.json_body), headers=with_header(request.headers, "Content-Type", JSON_TYPE))
    if table.form is not None:
        pairs = urlencode(table.form, safe="{}")
        return replace(request, body=Raw(pairs), headers=with_header(request.headers, "Content-Type", FORM_TYPE))
    if table.body is None:
        return request
    kind = JSON_TYPE if table.body.lstrip()[:1] in ("{", "[") else FORM_TYPE
    headers = request.headers if request.header("content-type") else with_header(request.headers, "Content-Type", kind)
    return replace(request, body=Raw(table.body), headers=headers)


def declared_requests(targets: Mapping[str, Mapping[str, Any]], *, file: Path) -> dict[str, Request]:
    """Return the requests that integrity.toml declares, by "pay" and by "shop.pay"; the first name only where it is one's.

    Args:
        targets: [targets] as it is written.

    Raises:
        UsageError: one cannot be used.
    """
    named: dict[str, Request] = {}
    shared: set[str] = set()
    for target, section in targets.items():
        for name, table in read_target(target, section, file=file).requests.items():
            request = replace(read_request(table, place=f"{file}: targets.{target}.requests.{name}"), name=name)
            shared |= {name} & named.keys()
            named |= {f"{target}.{name}": request, name: request}
    return {name: request for name, request in named.items() if name not in shared}


def read_target(name: str, section: Mapping[str, Any], *, file: Path) -> TargetTable:
    """Return what [targets.NAME] says.

    Raises:
        UsageError: something in it cannot be used.
    """
    from pydantic import ValidationError

    from integrity.scenarios.reading import mistake

    try:
        return TargetTable.model_validate(section)
    except ValidationError as error:
        text = file.read_text(encoding="utf-8-sig") if file.is_file() else ""
        raise mistake(error, Source(file, text), ("targets", name)) from None
