"""What the commands of races print: the result as text or as JSON, and what is told of it before, on stderr."""

from integrity.events import Event
from integrity.race.played import Played
from integrity.race.raced import Mutated, Raced, Replayed, Reproduced
from integrity.race.trial.mutate import Mutation
from integrity.report.layout import fit_timeline, lay_command
from integrity.report.race_coverage import render_coverage, render_matrix
from integrity.report.race_json import mutated_json, played_json, raced_json, replays_json, reproduced_json
from integrity.report.race_text import (
    left_out_of,
    render_apart,
    render_finding,
    render_left_out,
    render_mutations,
    render_played,
    render_replays,
)
from integrity.report.reproduction_text import render_reproduction
from integrity.report.terminal import write_json, write_note, write_result


def note_mutation(event: Event) -> None:
    """Listener: tell of each protection of an operation what it is good for, as that is found out."""
    if isinstance(event, Mutation) and not event.is_constraint:
        write_note(f"without {event.protection}: {event.word}")


def write_raced(raced: Raced, *, is_json: bool) -> None:
    """Print what came out of a race."""
    if raced.played is not None and not raced.found:
        _write_played(raced.played, is_json=is_json)
    elif is_json:
        write_json(raced_json(raced))
    else:
        _write_raced_text(raced)


def write_mutated(mutated: Mutated, *, is_json: bool) -> None:
    """Print what protections are good for."""
    if is_json:
        write_json(mutated_json(mutated))
    else:
        write_result(render_mutations(mutated))


def write_reproduced(reproduced: Reproduced, *, is_json: bool) -> None:
    """Print what brought a violated row back."""
    if is_json:
        write_json(reproduced_json(reproduced))
        return
    write_result(render_reproduction(reproduced))
    for each in reproduced.found:
        write_result(f"\n{render_finding(each.finding)}\n\n{lay_command(each.replay, label='replay: ')}")


def write_replayed(replayed: Replayed, *, is_showing: bool, is_json: bool) -> None:
    """Print how often a finding came back.

    Args:
        is_showing: the finding as well.
    """
    if is_json:
        write_json(replays_json(replayed))
        return
    if is_showing and replayed.finding is not None:
        write_result(render_finding(replayed.finding) + "\n")
    elif is_showing:
        write_result("\n".join([*fit_timeline(replayed.replays[-1].timeline), ""]))
    write_result(render_replays(replayed))


def _write_played(played: Played, *, is_json: bool) -> None:
    if is_json:
        write_json(played_json(played))
    else:
        write_result(render_played(played))


def _write_raced_text(raced: Raced) -> None:
    groups, settings = raced.groups, raced.race.settings
    if groups and raced.is_matrix:
        write_result(render_matrix(groups, settings))
    elif groups and not raced.found:
        write_result(render_coverage(groups[0], settings))
    if left_out := render_left_out(left_out_of(groups)):
        write_result(left_out)
    if raced.found:
        write_result(("\n" if raced.is_matrix else "") + render_finding(raced.found[0].finding))
        write_result()
    for label, each in zip(("replay: ", "others: ", *["        "] * len(raced.found)), raced.found, strict=False):
        write_result(lay_command(each.replay, label=label))
    for each in raced.apart:
        write_result(f"\n{render_apart(each.finding, each.replay)}")
