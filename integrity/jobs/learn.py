"""Which requests of a scenario to race with which: each is recorded alone, then pairs that meet are raced, the worst first.

    learned = listen(learn(subject_of_file(project, "shop", is_of_pairs=True), target, project, settings))

How often a scenario has an actor is of no account here: each is paired with each other and with itself.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from integrity.engines.target import Target
from integrity.events import Advanced, Job
from integrity.jobs.findings import Wanted
from integrity.jobs.race_requests import finding_of_hit, keep_found
from integrity.jobs.request_race import RequestRace
from integrity.jobs.site import Site, open_site
from integrity.operation import Statement
from integrity.project import Project
from integrity.race.finding.finding import Finding
from integrity.race.gated.postgresql.stand import Stand
from integrity.race.learned import Learned, PairRaced
from integrity.race.play.scheduler import PlayedSchedule
from integrity.race.program.program import Program
from integrity.race.search.conflicts import Conflict, Observed, Observer, find_conflicts
from integrity.race.search.exploration import Exploration
from integrity.race.search.explore import explore
from integrity.race.search.least import Cast
from integrity.scenarios.subject import RequestSubject, cast_of

_UNIQUE = Statement("select distinct indrelid::int8 as oid from pg_catalog.pg_index where indisunique and not indisprimary")


def learn(
    subject: RequestSubject,
    target: Target,
    project: Project,
    settings: RequestRace | None = None,
    wanted: Wanted | None = None,
) -> Job[Learned]:
    """Record each request alone, and race the pairs that meet, within the budget of seconds.

    Raises:
        UsageError, UnsafeDatabase, DatabaseError: as race_requests.
    """
    settings = settings or RequestRace()
    began = time.monotonic()
    with ExitStack() as stack:
        site = yield from open_site(subject, target, project, settings, stack)
        casts = _casts(subject)
        calls = [observe(site.stand, site.program(cast[:1]))[0] for cast in casts]
        conflicts = find_conflicts(calls, guarded=guarded_tables(site.stand))
        pairs: list[PairRaced] = []
        for number, conflict in enumerate(conflicts):
            left = settings.seconds - (time.monotonic() - began)
            share = replace(settings, seconds=left / (len(conflicts) - number))
            found, findings = _race(site, conflict, casts, share)
            first = wanted if wanted and not any(pair.found for pair in pairs) else Wanted()  # files that are named are its
            kept = yield from keep_found(site, findings, target, project, first)
            one, other = conflict.numbers
            raced = PairRaced(conflict, (calls[one].name, calls[other].name), found, kept)
            pairs.append(raced)
            yield Advanced("racing", " and ".join(raced.names), number + 1, len(conflicts))
        return Learned(calls, pairs, site.stand.rows)


def _casts(subject: RequestSubject) -> list[Cast]:
    """Return each kind of actor once, with those beside it that are the same."""
    casts, whole, begin = [], cast_of(subject.scenario), 0
    for table in subject.scenario.actors:
        casts.append(whole[begin : begin + table.count])
        begin += table.count
    return casts


def observe(stand: Stand, program: Program) -> tuple[Observed, PlayedSchedule]:
    """Return what the one call of a program does alone."""
    observer = Observer()
    capture, staged = stand.capture, []
    run = stand.scheduler.play(program, recorder=observer, on_staged=lambda: staged.append(capture.read()))
    written = capture.read().written_since(staged[-1])  # what the setup wrote is no call's
    return observer.observed(program.actors[0].operation, written, stand.tables_in), run


def guarded_tables(stand: Stand) -> frozenset[str]:
    """Return the tables whose rows a unique index tells apart by more than a number that the database counts."""
    (answer,) = stand.scheduler.ask([_UNIQUE])
    unique = {row["oid"] for row in answer.rows}
    return frozenset(
        table.name
        for oid, table in stand.capture.tables.items()
        if oid in unique or (table.key and not all(table.columns[at].is_numbered for at in table.key_places))
    )


def _race(
    site: Site, conflict: Conflict, casts: Sequence[Cast], settings: RequestRace
) -> tuple[Exploration | None, list[Finding]]:
    if settings.seconds <= 0:
        return None, []
    one, other = conflict.numbers
    cast = (casts[one][0], casts[other][-1])  # of one kind the first and the last, which are one where it is there once
    found = explore(site.stand.scheduler, site.program(cast), budget=settings.budget, seed=settings.seed)
    hits = (*found.hits, *found.apart[: not found.hits])
    return found, [finding_of_hit(site, hit, cast, seed=settings.seed) for hit in hits]
