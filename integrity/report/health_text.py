"""Checks of a target's health as text and JSON."""

from collections.abc import Sequence
from typing import Any

from integrity.health.check import Health, HealthCheck, worst
from integrity.report.terminal import write_json, write_result
from integrity.report.values import printable


def write_health(checks: Sequence[HealthCheck], *, is_json: bool) -> None:
    """Write the checks to stdout."""
    if is_json:
        write_json(health_fields(checks))
    else:
        write_result(render_health(checks))


def render_health(checks: Sequence[HealthCheck]) -> str:
    """Return one line a check, its next step below where it is not right, and what it all comes to."""
    width = max((len(check.name) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"{check.state.value:7}  {check.name:{width}}  {printable(check.found)}")
        if check.hint and check.state is not Health.OK:
            lines.append(f"{'':7}  {'':{width}}  hint: {printable(check.hint)}")
    counts = [f"{sum(check.state is state for check in checks)} {state.value}" for state in Health]
    verdict = {Health.OK: "healthy", Health.WARNING: "healthy, with warnings", Health.FAILED: "not healthy"}[worst(checks)]
    return "\n".join([*lines, "", f"{verdict}: {', '.join(counts)}"])


def health_fields(checks: Sequence[HealthCheck]) -> dict[str, Any]:
    """Return what goes into JSON."""
    return {
        "state": worst(checks).value,
        "checks": [
            {"name": check.name, "state": check.state.value, "found": check.found, "hint": check.hint or None}
            for check in checks
        ],
    }
