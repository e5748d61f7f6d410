"""The run that health goes on to: the profile smoke, told as `integrity run smoke` tells it."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from integrity.engines.target import Target
    from integrity.project import Project

SMOKE = "smoke"


def run_smoke(
    target: "Target",
    project: "Project",
    system_name: str | None,
    over: str | None,
    test_database: str | None,
    *,
    is_json: bool,
) -> int:
    """Run it, say what came of it, and return the exit code.

    Args:
        system_name: None: the one that commands work on where none is named.
        over: the server that is asked; None: the database.
    """
    from integrity.events import listen
    from integrity.jobs.run import choose, run
    from integrity.report.progress import write_notes
    from integrity.report.run_text import show_progress, write_headline, write_run

    chosen = choose(project, SMOKE, system_name=system_name, over=over, environment=os.environ)
    with show_progress() as progress:
        ended = listen(run(chosen, target, project, test_database=test_database), write_headline, write_notes, progress)
    write_run(ended.result, is_json=is_json)
    return ended.exit_code
