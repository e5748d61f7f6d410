"""The database of a test run: the one that is named, else the project's own embedded server's, while that runs."""

import os

from integrity.engines.embedded.server import EmbeddedServer
from integrity.errors import UsageError
from integrity.project import Project


def database_of_tests(project: Project, named: str) -> str:
    """Return its URL.

    Args:
        named: in pytest's settings; empty: not there.

    Raises:
        UsageError: none is named, and none runs.
    """
    url = project.database_url(named or None, os.environ)
    if url is not None:
        return url
    server = EmbeddedServer(project.state_folder / "postgres")
    if not server.status().is_running:
        raise UsageError(
            "race: no database is named, and no embedded server of this project runs",
            hint="Set INTEGRITY_DATABASE_URL, or integrity_database in pytest's settings; or: integrity db start",
        )
    return server.target.text
