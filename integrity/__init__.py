"""integrity: a data-integrity verifier and ledger auditor.

The names here are what a program needs: `System`, `Operation` and `Bug` to write a system, `Seed`, `Run`, `Audit` and
`Race` to put it to the test on a `Target`, `CallRace` to race functions of any
kind, `machine` to let Hypothesis call, `Verdict` and `AuditError` to read what comes
out. An operation's steps are imported from integrity.operation. Each name is imported when it is first asked for, so that
no command pays for another's.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from integrity.api import Audit, Race, Run, Seed, machine
    from integrity.engines.target import Target
    from integrity.errors import AuditError
    from integrity.jobs.race_calls import CallRace
    from integrity.operation import Operation
    from integrity.systems.system import Bug, System
    from integrity.verdict import Verdict

__version__ = "0.1.0"

__all__ = [
    "Audit",
    "AuditError",
    "Bug",
    "CallRace",
    "Operation",
    "Race",
    "Run",
    "Seed",
    "System",
    "Target",
    "Verdict",
    "machine",
]

_HOMES = {
    "Audit": "api",
    "AuditError": "errors",
    "Bug": "systems.system",
    "CallRace": "jobs.race_calls",
    "Operation": "operation",
    "Race": "api",
    "Run": "api",
    "Seed": "api",
    "System": "systems.system",
    "Target": "engines.target",
    "Verdict": "verdict",
    "machine": "api",
}


if not TYPE_CHECKING:  # where it can be seen, a checker takes whatever is asked for as there

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = found  # not asked for again
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
