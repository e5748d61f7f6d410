"""A finding of requests as a test for pytest, which asks the application again through the proxy, by integrity.

The finding stands beside the test, and says all else: so the test is what a person reads, and fails for.
"""

import re
from pathlib import Path

from integrity.race.export.pytest_export import check_path
from integrity.race.export.sealed import write_sealed
from integrity.race.finding.finding import Finding, names_of

_TEMPLATE = '''"""{title}

{timeline}

The application is started again, or taken where it runs, as the scenario in {json_name} says, and its statements
are let go in this order by the proxy of integrity.{variables}

    pip install integrity pytest
    INTEGRITY_DATABASE_URL=postgresql://user@localhost/shop pytest {test_name}

It fails while that schedule goes wrong, in whatever way, and where nobody knows whether it does. By hand:

    {replay}
"""

from pathlib import Path

import pytest

from integrity.api import Replay

HERE = Path(__file__)


def test_{name}():
    replayed = Replay(HERE.with_suffix(".json"), folder=HERE.parent)()
    if replayed.exit_code:
        pytest.fail(replayed.text, pytrace=False)
'''


def write_replay_test(finding: Finding, path: Path, *, replay_command: str) -> Path:
    """Write the test and, beside it, the finding; return the path of that.

    Args:
        path: of the test; ends with .py.

    Raises:
        InTheWay: a file is there that would be lost.
        UsageError: the path cannot be a test's, or cannot be written.
    """
    check_path(path)
    beside = path.with_suffix(".json")
    names = [call.operation for _, call in sorted(finding.calls.items())]
    variables = finding.scenario.variables if finding.scenario else ()
    asked = f" It takes from the environment: {', '.join(variables)}." if variables else ""
    text = _TEMPLATE.format(
        title=_in_quotes(
            f"{' and '.join(names)}: a race ({finding.anomaly}; {', '.join(names_of(finding))}), found by integrity"
        ),
        timeline=_in_quotes("\n".join(line.rstrip() for line in finding.timeline)),
        json_name=beside.name,
        test_name=path.name,
        variables=_in_quotes(asked),
        replay=_in_quotes(replay_command),
        name=re.sub(r"\W+", "_", "_and_".join(names)).strip("_").lower() or "race",
    )
    write_sealed(path, text, beside, finding.encode().decode())
    return beside


def _in_quotes(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''")
