"""The tables of applications that nobody here wrote are filled, and the server refuses no row of them.

The applications are installed from the package index into an environment of their own: minutes, and so for the proof only.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from integrity.engines.target import Target
from integrity.events import listen
from integrity.jobs.seed_schema import seed_schema

APPLICATIONS = Path(__file__).parent / "applications"
INSTALL_TIMEOUT_S = 900

CASES = {
    "oscar": ("django_tables.py", ("django-oscar==4.2.1",), 80),
    "wagtail": ("django_tables.py", ("wagtail",), 35),
    "prefect": ("model_tables.py", ("prefect",), 30),
    "mlflow": ("model_tables.py", ("mlflow-skinny", "alembic"), 40),
    "buildbot": ("model_tables.py", ("buildbot",), 40),
    "airflow": ("model_tables.py", ("apache-airflow-core",), 50),
    "keystone": ("model_tables.py", ("keystone",), 35),
    "optuna": ("model_tables.py", ("optuna",), 10),
}


@pytest.mark.exhaustive
@pytest.mark.timeout(2 * INSTALL_TIMEOUT_S)
@pytest.mark.parametrize("application", CASES)
def test_the_tables_of_an_application_are_filled_without_a_refusal(
    application: str, database: Target, tmp_path: Path
) -> None:
    script, packages, tables_least = CASES[application]
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    python = str(tmp_path / "venv" / "bin" / "python")
    run(python, "-m", "pip", "install", "--quiet", "sqlalchemy", "psycopg[binary]", *packages)
    run(python, str(APPLICATIONS / script), application, database.text)

    seeded = listen(seed_schema(database, rows={}, seed=1, test_database=database.url.database))

    assert len(seeded.row_counts) >= tables_least
    assert min(seeded.row_counts.values()) > 0


def run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=INSTALL_TIMEOUT_S, capture_output=True)
