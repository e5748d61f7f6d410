"""What a finding of requests kept of its scenario, beside the file of today: what differs, and which of both is played."""

from collections.abc import Iterator, Mapping
from typing import Any

from integrity.errors import UsageError
from integrity.project import Project
from integrity.race.finding.scenario_record import ScenarioRecord
from integrity.scenarios.subject import RequestSubject, find_subject, scenario_file, subject_of_file

_OWN = ("commit", "title")  # of which is told by itself, or nothing
_KEYS_TOLD = 6
_KEPT = "what the finding kept is played, and not the file"


def tell_changes(project: Project, record: ScenarioRecord, subject: RequestSubject) -> list[str]:
    """Return, in sentences, what is another one than when the finding was made, and which of both is played.

    Args:
        subject: that is played.
    """
    changed = [*_file_changes(project, record)] if record.name else []
    now, then = subject.scenario.app.commit, record.commit
    if now != then:
        changed.append(f"the application is at commit {now or '(none said)'}, it was at {then or '(none said)'}")
    return changed


def _file_changes(project: Project, record: ScenarioRecord) -> Iterator[str]:
    if not scenario_file(project, record.name).is_file():
        yield f"{record.shown} is gone; {_KEPT}"
        return
    try:
        same = find_subject(project, record.name, record.digest)
        now = same or subject_of_file(project, record.name)
    except UsageError as error:
        yield f"{record.shown} cannot be used by now; {_KEPT}: {error.message}"
        return
    keys = list(_differing(record.given, now.record.given))
    keys += list(_differing(record.requests, now.record.requests, "requests"))
    keys += list(_differing(record.files, now.record.files, "files"))
    told = ", ".join(keys[:_KEYS_TOLD]) + (f" and {len(keys) - _KEYS_TOLD} more" if len(keys) > _KEYS_TOLD else "")
    if same is None:
        yield f"{record.shown} is another one by now ({now.record.digest}, was {record.digest}) in {told}; {_KEPT}"
    elif keys:
        yield f"{record.shown} is another one by now in {told}; the file is played, and not what the finding kept"


def _differing(then: Any, now: Any, path: str = "") -> Iterator[str]:
    """Yield the keys at which two tables differ, each the deepest there is."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys([*then, *now]):
            if name not in _OWN:
                yield from _differing(then.get(name), now.get(name), f"{path}.{name}" if path else name)
    elif isinstance(then, list | tuple) and isinstance(now, list | tuple) and len(then) == len(now):
        for number, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from _differing(one, other, f"{path}.{number}")
    elif then != now:
        yield path
