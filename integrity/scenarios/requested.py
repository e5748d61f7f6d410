"""The requests of a target as a system: each is an operation, and the values in it are the operation's arguments.

    [targets.shop]
    url = "http://127.0.0.1:8000"
    values = { amount = "integer 1..80" }

    [targets.shop.requests.pay]
    request = 'POST /wallets/{wallets.id}/pay {"amount": {amount}}'

`{wallets.id}` is that column of a row of the database's; what `values` names is drawn as a parameter of SQL is.
"""

import re
from collections.abc import Mapping
from typing import Any

from integrity.domain import Counter, Domain, KeyOf, OneOf
from integrity.errors import UsageError, quote
from integrity.http.request import Request
from integrity.http.secrets import Secrets
from integrity.http.statuses import read_statuses
from integrity.http.target import AnswerCheck, Declines, TargetRequest, TargetRequests
from integrity.http.values import check_take, fill, names_in
from integrity.operation import Operation, Steps
from integrity.project import SETTINGS_FILE, Project
from integrity.scenarios.requests import declared_requests, read_request, read_target
from integrity.scenarios.target import CheckTable, TargetRequestTable, TargetTable
from integrity.suggestion import suggest
from integrity.systems.reflect import Reflected
from integrity.systems.script.domains import NoDomain, read_domain
from integrity.systems.system import System, SystemReference

PATH = "targets."
"""What the reference of such a system begins with."""

_COUNTER = re.compile(r"counter(?:\s+(?P<first>\d{1,15}))?")


def requested_system(project: Project, reference: SystemReference) -> System:
    """Return the system that the requests of a target are.

    Raises:
        UsageError: what is declared cannot be used.
    """
    target = reference.path.removeprefix(PATH)
    table, place = _table(project, target)
    requests = _requests(project, target)
    values = {name: _domain(given, name, f"{place}.values.{name}") for name, given in table.values.items()}
    pools: dict[str, str] = {}
    operations = {}
    for name, declared in table.requests.items():
        at = f"{place}.requests.{name}"
        chain = _chain(table, name, at)
        taken = [each for before in chain for each in requests[before].takes]
        arguments: dict[str, Domain] = {}
        for value in _names(requests[name], {**values, **dict.fromkeys(taken)}, at):
            arguments[value] = _argument(value, values, taken, pools)
        operations[name] = Operation(
            name,
            _asked_for,
            arguments,
            weight=declared.weight,
            after=declared.after,
            think_s=declared.think_s,
            has_checks=bool(declared.checks),
        )
    schemas = [value.split(".")[0] for each in operations.values() for value in each.arguments if value.count(".") == 2]
    return System(
        name=reference.name,
        title=f"the requests of {SETTINGS_FILE}: {place.partition(': ')[2]}",
        metadata=Reflected(*dict.fromkeys(schemas), hint="Or name the database that it works on: [database] url."),
        operations=operations,
        pools=pools | {pool: query for _, declared in values.values() for pool, query in declared.items()},
        is_requested=True,
        reference=reference,
    )


def target_requests(project: Project, target: str) -> TargetRequests:
    """Return what is asked of a target.

    Raises:
        UsageError: what is declared cannot be used.
    """
    table, place = _table(project, target)
    requests = _requests(project, target)
    found = {
        name: TargetRequest(
            requests[name],
            _declines(declared, f"{place}.requests.{name}"),
            tuple(_check(each, f"{place}.requests.{name}.checks.{n}") for n, each in enumerate(declared.checks)),
        )
        for name, declared in table.requests.items()
    }
    login = table.login
    if login is not None and login.bearer is not None:
        check_take(login.bearer, place=f"{place}.login.bearer")
    sent = [] if login is None else login.requests
    secrets = Secrets()
    secrets.taken_out({**table.model_dump(mode="json", by_alias=True), "values": {}})
    return TargetRequests(
        found,
        tuple(read_request(each, place=f"{place}.login.requests.{n}") for n, each in enumerate(sent)),
        login.bearer if login is not None else None,
        frozenset(secrets.values.values()),
    )


def _asked_for(**_: Any) -> Steps:
    """Raise: no statement of it is known here."""
    raise UsageError("a request has no steps that could be carried out on a database", hint="Race it by a scenario.")


def _table(project: Project, target: str) -> tuple[TargetTable, str]:
    file = project.folder / SETTINGS_FILE
    return read_target(target, project.settings.targets[target], file=file), f"{file}: targets.{target}"


def _requests(project: Project, target: str) -> dict[str, Request]:
    named = declared_requests(project.settings.targets, file=project.folder / SETTINGS_FILE)
    begin = f"{target}."
    return {name.removeprefix(begin): each for name, each in named.items() if name.startswith(begin)}


def _chain(table: TargetTable, name: str, place: str) -> list[str]:
    """Return the requests that a client made before one, the first of all first."""
    chain: list[str] = []
    while before := table.requests[chain[0] if chain else name].after:
        if before not in table.requests:
            known = [each for each in table.requests if each != name]
            raise UsageError(
                f"{place}.after: there is no request {quote(before)} of this target",
                hint=suggest(before, known, always=f"There are: {', '.join(known) or 'no others'}."),
            )
        if before in (name, *chain):
            raise UsageError(f"{place}.after: {' after '.join((name, *chain[::-1], before))}", hint="Break the circle.")
        chain.insert(0, before)
    return chain


def _names(request: Request, known: Mapping[str, Any], place: str) -> list[str]:
    """Return the names of the values in a request.

    Raises:
        UsageError: there is no such value.
    """
    used = [name for name in names_in(request) if name in known or "." in name]
    try:
        fill(request, {**dict.fromkeys(known, "1"), **dict.fromkeys(used, "1")})
    except UsageError as error:
        raise UsageError(
            f"{place}: {error.message}",
            hint=f"{error.hint or ''} A column of the database's is written {{table.column}}; `values` of the target "
            "says what others are drawn from.".strip(),
        ) from None
    return used


def _argument(
    name: str, values: Mapping[str, tuple[Domain, Mapping[str, str]]], taken: list[str], pools: dict[str, str]
) -> Domain:
    if name in taken:
        return OneOf(("",))  # a client that follows has that of the answer
    if name in values:
        return values[name][0]
    table, _, column = name.rpartition(".")
    place = ".".join(_spelt(part) for part in table.split("."))
    pools[name] = f"select {_spelt(column)} from {place} order by 1"
    return KeyOf(name)


def _spelt(name: str) -> str:
    return name if name == name.lower() else f'"{name}"'


def _domain(given: str | float | bool, name: str, place: str) -> tuple[Domain, Mapping[str, str]]:
    """Return what a value is drawn from, and the query of its pool."""
    if not isinstance(given, str):
        return OneOf((given,)), {}  # type: ignore[arg-type]  # a number of JSON
    if counter := _COUNTER.fullmatch(given.strip()):
        return Counter(f"new_{name}", int(counter["first"] or 1)), {}
    try:
        declared = read_domain(given, operation="value", parameter=name)
    except NoDomain as error:
        also = "Beside them: `counter 1000`, the next number each time."
        raise UsageError(f"{place}: {quote(given)} says nothing that can be drawn", hint=f"{error} {also}") from None
    domain = declared.domain
    if declared.query and isinstance(domain, KeyOf):
        return domain, {domain.pool: declared.query}
    return domain, {}


def _declines(declared: TargetRequestTable, place: str) -> Declines | None:
    if declared.declined is None:
        return None
    statuses = [
        each for each in declared.declined if isinstance(each, int) or re.fullmatch(r"\d(?:\d\d|xx)(?:-\d+)?", each)
    ]
    words = tuple(each for each in declared.declined if each not in statuses)
    return Declines(read_statuses(statuses, place=f"{place}.declined") if statuses else None, tuple(map(str, words)))


def _check(table: CheckTable, place: str) -> AnswerCheck:
    statuses = None if table.status is None else read_statuses(table.status, place=f"{place}.status")
    if table.path:
        check_take(table.path, place=f"{place}.path")
    has_equals = "equals" in table.model_fields_set
    parts = [f"status {statuses}" if statuses else "", table.path, f"under {table.under_ms:g} ms" if table.under_ms else ""]
    if has_equals:
        parts[1] += f" = {table.equals}"
    name = table.name or ", ".join(filter(None, parts))
    return AnswerCheck(name, statuses, table.path, (table.equals,) if has_equals else (), table.under_ms)
