"""`integrity reproduce`: from a violated row to the schedule that breaks it."""

import math
from pathlib import Path

import click

from integrity.cli.number_types import SEED, Duration, Integer
from integrity.cli.options import (
    database_option,
    json_option,
    open_project,
    open_target,
    project_option,
    test_database_option,
)


@click.command(name="reproduce")
@click.argument("violation", metavar="VIOLATION")
@click.option("--run", "run_id", metavar="ID", help="The run that was audited; default: the newest with verdicts.")
@click.option("--bug", "bug_name", metavar="NAME",
              help="That the run's server had; a run over HTTP does not know. Default: the run's own.")  # fmt: skip
@click.option("--preemptions", metavar="N", type=Integer(0, 8), default=2, show_default=True,
              help="Search every schedule with at most so many.")  # fmt: skip
@click.option(
    "--budget", "budget_s", type=Duration(), help="End after so long, whatever is left to try; default: when all was tried."
)
@click.option("--seed", metavar="N", type=SEED, default=0, show_default=True,
              help="Of random schedules.")  # fmt: skip
@click.option("--pytest", "pytest_file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the race that was found as a test, test_*.py, with its SQL beside it.")  # fmt: skip
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write the finding here.")
@database_option
@project_option
@test_database_option
@json_option
def command(
    *,
    violation: str,
    run_id: str | None,
    bug_name: str | None,
    preemptions: int,
    budget_s: float | None,
    seed: int,
    pytest_file: Path | None,
    output: Path | None,
    database: str | None,
    project_folder: Path,
    test_database: str | None,
    is_json: bool,
) -> int:
    """Take a violated row of the last audit and find the shortest schedule of its calls that breaks it again.

    VIOLATION is an invariant, and #2 for its second row. Exits with 1 when it is back, 3 when nothing brought it back.

    \b
    Example: integrity reproduce ghostpass/balance-equals-entries#1
    """
    from integrity.events import listen
    from integrity.jobs.findings import Wanted
    from integrity.jobs.reproduce import choose, reproduce
    from integrity.jobs.wanted import telling
    from integrity.race.search.explore import Budget
    from integrity.report.progress import open_bar, write_notes
    from integrity.report.race_output import write_reproduced

    wanted = Wanted(output, pytest_file)
    project = open_project(project_folder)
    chosen = choose(project, violation, run_id=run_id, bug_name=bug_name)
    target = open_target(project, database)
    budget = Budget(preemptions=preemptions, seconds=budget_s or math.inf)
    job = reproduce(chosen, target, project, wanted, budget=budget, seed=seed, test_database=test_database)
    with open_bar() as bar:
        reproduced = listen(telling(job, wanted), bar, write_notes)
    write_reproduced(reproduced, is_json=is_json)
    return reproduced.exit_code
