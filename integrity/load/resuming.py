"""Going on with a run that was interrupted: what of its profile was not played yet, as a profile of its own.

Its arrivals are new ones, at the rates that the shape has from there on; a step that was cut off is held again as a whole.
Its figures are of this part alone, and the mark of its length counts both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from integrity.errors import UsageError
from integrity.faults.schedule import Window, read_schedule
from integrity.load.profile import OpenProfile, Profile, read_profile
from integrity.runs.folder import RunFolder
from integrity.runs.order import find_rest_of
from integrity.typed import typed


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left of a run.

    Args:
        run_id: of the run that it goes on with.
        database: that it was made on.
        ran_s: for how long it ran, with those that it went on with itself.
        seed: of the rest; another one, so that its calls are not the same again.
        over: the server that its calls went to; empty: to the database.
        faults: of the profile's own, those that had not ended, from its beginning on.
        processes: that made its calls.
    """

    run_id: str
    system_name: str
    profile_name: str
    bug_name: str | None
    database: str
    time_scale: float
    ran_s: float
    seed: int
    profile: Profile
    faults: tuple[Window, ...]
    over: str = ""
    processes: int = 1


def find_rest(folder: RunFolder) -> Rest:
    """Return what is left of a run.

    Raises:
        UsageError: it is not over, it came to its end, another run went on with it, or its shape cannot be gone on with.
        HistoryError: it cannot be read.
    """
    settings, result = folder.settings(), folder.result()
    place = f"--resume: run {folder.run_id}"
    if folder.is_alive():
        raise UsageError(f"{place} is not over", hint=f"`{typed('stop')}` ends it.")
    if result is not None and result.state == "finished":
        raise UsageError(f"{place} came to its end: nothing is left of it", hint=f"`{typed(f'run {settings.profile}')}`")
    if (later := find_rest_of(folder)) is not None:
        on = typed(f"run --resume {later.run_id}")
        raise UsageError(
            f"{place} was gone on with already, by run {later.run_id}", hint=f"If that was interrupted, too: `{on}`"
        )
    samples = folder.samples()
    ran_s = result.elapsed_s if result is not None else samples[-1].elapsed_s if samples else 0.0
    profile = read_profile(settings.settings, place)
    ended = [phase.to_s for phase in result.phases] if result is not None else []
    rest = rest_of(profile, ran_s, steps_ended=len(ended), place=place)
    planned = profile.faults if isinstance(profile, OpenProfile) else ()
    return Rest(
        run_id=folder.run_id,
        system_name=settings.system,
        profile_name=settings.profile,
        bug_name=settings.bug,
        database=settings.database,
        time_scale=settings.time_scale,
        ran_s=settings.ran_before_s + ran_s,
        seed=settings.seed + 1,
        profile=rest,
        faults=tuple(_later(read_schedule(planned, duration_s=profile.duration_s, may_overlap=True), ran_s)),
        over=settings.over,
        processes=settings.processes,
    )


def rest_of(profile: Profile, ran_s: float, *, steps_ended: int, place: str) -> Profile:
    """Return what of the profile is not played after so many seconds, and so many steps.

    Raises:
        UsageError: nothing is left, or it is a search, which says nothing of what it did not see.
    """
    if not isinstance(profile, OpenProfile):
        return profile.model_copy(update={"duration_s": _left(profile.duration_s, ran_s, place), "plan_s": profile.whole_s})
    changed: dict[str, Any] = {"plan_s": profile.whole_s, "faults": ()}
    if profile.steps is not None:
        steps = profile.steps
        if steps.goal == "break":
            raise UsageError(
                f"{place} searches for a breaking point: what it held is not known any more",
                hint="Run it from its beginning.",
            )
        factors, headings = steps.factors[steps_ended:], steps.headings[steps_ended:]
        _left(len(steps.factors), steps_ended, place)
        changed["steps"] = steps.model_copy(update={"factors": factors, "headings": headings})
        changed["duration_s"] = steps.step_s * len(factors)
    else:
        changed["duration_s"] = _left(profile.duration_s, ran_s, place)
        changed["stages"] = tuple(_stages_left(profile, ran_s))
    return profile.model_copy(update=changed)


def _left(whole: float, done: float, place: str) -> float:
    if whole - done <= 0:
        raise UsageError(
            f"{place} came to the end of its profile: nothing is left of it", hint="Run it from its beginning."
        )
    return whole - done


def _stages_left(profile: OpenProfile, ran_s: float) -> Sequence[Any]:
    """Return the stages from that moment on; the one that is under way begins at the factor that it had by then."""
    left: list[Any] = []
    begun_s, factor = 0.0, profile.stages[0].factor if profile.stages else 1.0
    for stage in profile.stages:
        ends_s = begun_s + stage.duration_s
        if begun_s >= ran_s and left:
            left.append(stage)
        elif ends_s > ran_s:
            share = (ran_s - begun_s) / stage.duration_s
            now = factor + (stage.factor - factor) * share
            left.append(stage.model_copy(update={"duration_s": 0.0, "factor": now, "part": "", "name": "so far"}))
            left.append(stage.model_copy(update={"duration_s": ends_s - ran_s}))
        begun_s, factor = ends_s, stage.factor
    return left


def _later(windows: Sequence[Window], ran_s: float) -> Sequence[Window]:
    later = [each for each in windows if each.to_s > ran_s]
    return [replace(each, from_s=max(0.0, each.from_s - ran_s), to_s=each.to_s - ran_s) for each in later]


def told(rest: Rest, given: Mapping[str, Any]) -> None:
    """Refuse what is asked of a run beside going on with it.

    Raises:
        UsageError: something is.
    """
    asked = [name for name, value in given.items() if value]
    if asked:
        raise UsageError(
            f"--resume: run {rest.run_id} goes on as it was asked for, without --{asked[0].replace('_', '-')}",
            hint="Leave it out, or run the profile from its beginning.",
        )
