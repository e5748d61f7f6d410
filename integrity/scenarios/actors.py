"""The actors of a scenario, as a race has them: calls that are not ours to step."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from integrity.http.client import Client
from integrity.http.request import Request
from integrity.race.program.program import Actor
from integrity.scenarios.launching import Commands, MakeLaunch, launch_requests
from integrity.scenarios.preparing import Prepared
from integrity.scenarios.requests import read_request
from integrity.scenarios.scenario import ActorTable, Scenario

_ADDRESS = re.compile(r"https?://[^/\s]+(?=/)", re.IGNORECASE)  # of a pasted line; the path tells requests apart


def actors_of(
    scenario: Scenario,
    *,
    client: Client,
    commands: Commands,
    prepared: Callable[[], Prepared],
    named: Mapping[str, Request] | None = None,
    folder: Path | None = None,
    place: str = "",
) -> tuple[Actor, ...]:
    """Return the actors of a scenario, each as often as it says.

    Args:
        client: sends their requests.
        commands: starts their commands.
        prepared: what those of the schedule that is played begin with.
        named: requests that integrity.toml declares.
        folder: of the project.
        place: of the scenario, for messages.

    Raises:
        UsageError: a request cannot be used.
    """
    actors: list[Actor] = []
    for number, table in enumerate(scenario.actors):
        where = f"{place}: actors.{number}"
        requests = [
            read_request(each, place=f"{where}.requests.{at}", named=named, folder=folder)
            for at, each in enumerate(table.requests)
        ]
        name = table.name or _name_of(table, requests)

        def values() -> Mapping[str, Any]:
            return prepared().values

        launch: MakeLaunch = (
            commands.launch(table.command, values=values)
            if table.command
            else launch_requests(
                client,
                requests,
                values=values,
                kept=lambda: prepared().kept,
                volatile=scenario.expect.volatile.fields,
            )
        )
        actors += [Actor(name, _not_ours, place=place, launch=launch)] * table.count
    return tuple(actors)


def _name_of(table: ActorTable, requests: list[Request]) -> str:
    return table.command if table.command else requests[0].name or _ADDRESS.sub("", requests[0].shown)


def _not_ours(*_: object) -> Any:
    raise AssertionError("an actor that is not ours to step")
