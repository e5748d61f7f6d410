"""What races came to, a line each, also of those in which nothing was found: .integrity/races/searched.jsonl.

A finding has a file of its own; a race that held, or was not searched to its bound, is known by its line alone.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import orjson

from integrity.project import Project, make_state_folder
from integrity.verdict import Verdict

LOG_FILE = "searched.jsonl"
_KEPT_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedRace:
    """One race.

    Args:
        at: when it ended, as ISO 8601 has it.
        subject: what was raced, "shop: withdraw + refund".
        sentence: what came of it, with what was covered.
        findings: the files of what was found.
    """

    format: Literal[1] = 1
    at: str
    subject: str
    verdict: Verdict
    sentence: str
    findings: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """What came of it, without what was covered."""
        return self.sentence.partition(";")[0].rstrip(".")


def log_race(project: Project, subject: str, verdict: Verdict, sentence: str, findings: Sequence[Path] = ()) -> None:
    """Note a race behind the others; the oldest is forgotten where they are many.

    Raises:
        UsageError: the project's folder cannot be written.
    """
    make_state_folder(project)
    file = project.state_folder / "races" / LOG_FILE
    file.parent.mkdir(exist_ok=True)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    race = SearchedRace(at=at, subject=subject, verdict=verdict, sentence=sentence, findings=tuple(map(str, findings)))
    before = file.read_bytes().splitlines()[1 - _KEPT_MOST :] if file.exists() else []
    new = file.with_suffix(".new")  # what is half written is never read
    new.write_bytes(b"".join(line + b"\n" for line in (*before, orjson.dumps(asdict(race)))))
    new.replace(file)


def read_last_race(project: Project) -> SearchedRace | None:
    """Return the race that was noted last; None: there was none, or its line is of another version."""
    file = project.state_folder / "races" / LOG_FILE
    lines = file.read_bytes().splitlines() if file.exists() else []
    if not lines:  # as in most folders: the overview is there at once
        return None
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(SearchedRace).validate_json(lines[-1])
    except ValidationError:
        return None
