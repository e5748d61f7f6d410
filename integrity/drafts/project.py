"""What a new project holds beside invariants and operations: its settings, what git leaves out, and a job for CI."""

SETTINGS = """\
# What integrity works on in this folder. Every key: docs/settings.md of integrity.

[database]
{url}
# test = "shop_test"    a database of that name may be seeded and hammered, whatever it holds
"""
EMBEDDED = """\
# url = "postgresql://auditor@replica.example:5432/shop"    else the embedded PostgreSQL of this folder
#     ${NAME} stands for a variable of the environment; INTEGRITY_DATABASE_URL and --database outrank it"""
PASSWORD_VARIABLE = "DATABASE_PASSWORD"  # noqa: S105 - the name of a variable

IGNORED = """\
.integrity/
"""

WORKFLOW = """\
# Every invariant of this folder, asked of a database. To be set in the repository:
# - the variable INTEGRITY: what pip is to install, such as git+https://HOST/integrity (not that of PyPI);
# - the secret INTEGRITY_DATABASE_URL, of a role that can only read:
#   create role auditor login; grant pg_read_all_data to auditor.
name: integrity
on:
  pull_request:
  schedule:
    - cron: "7 5 * * *"
jobs:
  validate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: pipx install "${{ vars.INTEGRITY }}"
      - run: integrity validate --read-only --format text --format junit --output integrity.xml
        env:
          INTEGRITY_DATABASE_URL: ${{ secrets.INTEGRITY_DATABASE_URL }}
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: integrity
          path: integrity.xml
"""
WORKFLOW_FILE = ".github/workflows/integrity.yml"


def draft_settings(url: str | None) -> str:
    """Return an integrity.toml.

    Args:
        url: of the database, without secrets; None: it is not for the file to say.
    """
    said = EMBEDDED if url is None else f"url = {_toml(url)}    # INTEGRITY_DATABASE_URL and --database outrank it"
    return SETTINGS.replace("{url}", said)


def without_password(address: str) -> str:
    """Return a URL that takes its password from the environment.

    Args:
        address: without one.
    """
    scheme, _, rest = address.partition("://")
    user, at, place = rest.partition("@")
    return f"{scheme}://{user}:${{{PASSWORD_VARIABLE}}}@{place}" if at else address


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
