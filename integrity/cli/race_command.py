"""`integrity race`: which orders of two calls break the data?"""

import math
from pathlib import Path

import click

from integrity.cli.number_types import SEED, Duration, Integer
from integrity.cli.once import OnceCommand
from integrity.cli.options import (
    database_option,
    json_option,
    open_project,
    open_target,
    project_option,
    test_database_option,
)
from integrity.cli.race_requests import Asked, race_asked

LEVELS = ("read committed", "repeatable read", "serializable")
ACTORS_MAX = 8


@click.command(name="race", cls=OnceCommand)
@click.argument("names", metavar="[SYSTEM] [OPERATION]...", nargs=-1)
@click.option("--system", "system_name", metavar="NAME", help="All words are operations of this system.")
@click.option(
    "--bug", "bug_name", metavar="NAME", help="Plant this bug of the system; without it operations race as written."
)
@click.option("--isolation", type=click.Choice(LEVELS), default=LEVELS[0], show_default=True, help="Of transactions.")
@click.option("--preemptions", metavar="N", type=Integer(0, 8), default=2, show_default=True,
              help="Search every schedule with at most so many.")  # fmt: skip
@click.option(
    "--actors",
    metavar="N",
    type=Integer(1, ACTORS_MAX),
    help="Calls of each operation; default: 1, or 2 of one alone.",
)
@click.option("--schedules", metavar="N", type=Integer(1, 10_000_000), default=10_000, show_default=True,
              help="Of each pair, with each choice of arguments, play at most so many; with --mutate 300.")  # fmt: skip
@click.option("--budget", type=Duration(), help="End after so long: the search, and what is tried against what it found.")
@click.option("--seed", metavar="N", type=SEED, default=0, show_default=True, help="Of random schedules.")
@click.option(
    "--jobs", metavar="N", type=Integer(1, 64), default=1, show_default=True, help="Processes that share the search."
)
@click.option("--schedule", metavar="LETTERS", help="Play this one schedule, e.g. ABBA, and show it.")
@click.option("--strict-replies", "is_strict", is_flag=True,
              help="Answers that no serial order gives are findings too, where the rows are right.")  # fmt: skip
@click.option("--served", "is_served", is_flag=True,
              help="Make the calls over HTTP, as requests to the system's own server, started for it.")  # fmt: skip
@click.option("--mutate", "is_mutating", is_flag=True, help="Take each protection away: the search must find a race.")
@click.option("--pytest", "pytest_file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the race that was found as a test, test_*.py, with its SQL beside it.")  # fmt: skip
@click.option("--app", "app_url", metavar="URL", default="", help="Race requests to the application at this address.")
@click.option("--curl", "curls", metavar="LINE", multiple=True, help="A request as browsers copy it; again for another.")
@click.option("--actor", "actor_lines", metavar="LINE", multiple=True,
              help="A command that does it, told by DATABASE_URL; again for another, alone it is run twice.")  # fmt: skip
@click.option("--count", metavar="N", type=Integer(2, ACTORS_MAX), default=2, show_default=True,
              help="Of a single --curl or --actor, so many at once.")  # fmt: skip
@click.option("--command", "app_command", metavar="LINE", default="",
              help="Start the application so, on a copy of the database, told by DATABASE_URL and PORT.")  # fmt: skip
@click.option("--scenario", "scenario", metavar="NAME", help="Race what scenarios/NAME.toml says.")
@click.option("--learn", "learnt", metavar="[NAME]", is_flag=False, flag_value="",
              help="Record the actors of scenarios/NAME.toml alone, or a suite (--learn -- pytest tests); race the "
              "pairs that meet, worst first.")  # fmt: skip
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write the finding here.")
@database_option
@project_option
@test_database_option
@json_option
def command(
    *,
    names: tuple[str, ...],
    system_name: str | None,
    bug_name: str | None,
    isolation: str,
    preemptions: int,
    actors: int | None,
    schedules: int,
    budget: float | None,
    seed: int,
    jobs: int,
    schedule: str | None,
    is_strict: bool,
    is_served: bool,
    is_mutating: bool,
    pytest_file: Path | None,
    app_url: str,
    curls: tuple[str, ...],
    actor_lines: tuple[str, ...],
    count: int,
    app_command: str,
    scenario: str | None,
    learnt: str | None,
    output: Path | None,
    database: str | None,
    project_folder: Path,
    test_database: str | None,
    is_json: bool,
) -> int:
    """Search the orders of concurrent calls for one that breaks an invariant, or that no serial order explains.

    The first word is a system; else an operation of the project's own, as operations/withdraw.sql is.

    Found, too, are calls that fail and alone never do, and deadlocks that nobody retries. Any serial order will do: values
    are compared, and which call was made first in real time is not. Without operations each pair of the system's is
    searched. Exits with 1 when a race was found, 0 when there is none within the bound, 3 when the budget ended before.

    Races work in a scratch database made on the same server and dropped at the end; what the database named holds is left
    alone.

    Requests of an application are raced by --app with --curl, or by --scenario: its statements pass a proxy of ours, on a
    copy of the database where we start it, or on its own, declared as a test database, where it runs already.

    \b
    Example: integrity race ghostpass sell sell --bug lost_update
    """
    from integrity.events import listen
    from integrity.jobs.findings import Wanted
    from integrity.jobs.race import choose, mutate, race
    from integrity.operation import Isolation
    from integrity.race.search.settings import RaceSettings
    from integrity.report.progress import open_bar, write_notes
    from integrity.report.race_output import note_mutation, write_mutated, write_raced

    settings = RaceSettings(Isolation(isolation), preemptions=preemptions, schedules=schedules,
                            seconds=budget or math.inf, seed=seed, jobs=jobs, is_strict=is_strict)  # fmt: skip
    project = open_project(project_folder)
    asked = Asked(app_url, curls, count, app_command, scenario, names, actor_lines, learnt, is_json, is_mutating, is_served)
    wanted = Wanted(output, pytest_file)
    if asked.is_anything:
        return race_asked(asked, settings, project, wanted, database=database, test_database=test_database)
    chosen = choose(project, names, settings, system_name=system_name, bug_name=bug_name, actors=actors, schedule=schedule,
                    is_mutating=is_mutating, is_served=is_served)  # fmt: skip
    target = open_target(project, database)
    if is_mutating:
        mutated = listen(mutate(chosen, target, project, test_database=test_database), note_mutation, write_notes)
        write_mutated(mutated, is_json=is_json)
        return mutated.exit_code
    with open_bar() as bar:
        raced = listen(race(chosen, target, project, wanted, test_database=test_database), bar, write_notes)
    write_raced(raced, is_json=is_json)
    return raced.exit_code
