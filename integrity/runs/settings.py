"""A run's settings, settings.json: what is needed to repeat it, and where its process is to be found."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import JsonValue

from integrity.runs.app import AppVersion
from integrity.runs.documents import RUN_AGAIN, Document, DocumentKind, DocumentPart
from integrity.runs.files import SETTINGS_FILE


class Versions(DocumentPart):
    """Of what ran it."""

    integrity: str
    python: str


class Machine(DocumentPart):
    """Where it ran; cores: None where the system does not say."""

    platform: str
    cores: int | None


class RunSettings(Document):
    """A run as it was asked for.

    Args:
        reference: where the system is found, as "module:attribute"; empty: by its name.
        resumes: the run that it goes on with; empty: none. ran_before_s: for how long that ran, and those before it.
        bug: planted; None: the sound system.
        database: its URL, without the password.
        server: what it says it is; synchronous_commit: None, for SQLite.
        processes: that made its calls; of one it is the run's own.
        process_mark: tells the process from any other of its id; None: it could not be had.
        app: the version of the application that is loaded; None: not known.
        settings: the profile's, with everything that the command line said.
        over: the URL, without its password, of the server that calls went to; empty: they went to the database.
    """

    format: Literal[1] = 1
    system: str
    profile: str
    bug: str | None
    seed: int
    time_scale: float
    database: str
    server: str
    synchronous_commit: str | None
    started_at_us: int
    pid: int
    process_mark: str | None
    versions: Versions
    machine: Machine
    app: AppVersion | None = None
    settings: Mapping[str, JsonValue]
    reference: str = ""
    resumes: str = ""
    ran_before_s: float = 0.0
    over: str = ""
    processes: int = 1


def _from_unnumbered(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"process_mark": None, **value}


SETTINGS = DocumentKind(SETTINGS_FILE, RunSettings, format=1, hint=RUN_AGAIN, from_unnumbered=_from_unnumbered)
