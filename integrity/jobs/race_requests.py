"""Races of an application's requests: nothing in it is changed, its statements pass our proxy.

    raced = listen(race_requests(subject_of_file(project, "buy"), target, project, settings))

What is found is shrunk and kept in files of the state folder, with the scenario that it is of.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from string import ascii_uppercase
from typing import Any

from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import FileWritten, Job, Noted
from integrity.http.secrets import hidden_in
from integrity.jobs.export_requests import check_unedited_of_requests, export_requests
from integrity.jobs.findings import Wanted, keep_all
from integrity.jobs.race_log import log_race
from integrity.jobs.request_race import RequestRace
from integrity.jobs.site import Site, open_site
from integrity.project import Project
from integrity.race.export.statements_export import schemas_of
from integrity.race.finding.discovery import finding_of_program
from integrity.race.finding.finding import CallRecord, CureRecord, Finding, return_record, write_finding
from integrity.race.finding.token import token_of
from integrity.race.judge.judge import Judge
from integrity.race.play.again import order_of
from integrity.race.program.program import Program
from integrity.race.raced import FindingKept, Mutated
from integrity.race.requested import RequestsRaced
from integrity.race.search.exploration import Hit
from integrity.race.search.explore import explore
from integrity.race.search.least import Cast, find_least
from integrity.race.study import record_of
from integrity.race.trial.call_cures import try_call_cures
from integrity.race.trial.call_mutations import mutate_calls
from integrity.race.trial.cure import Failing, NotBack
from integrity.report.requests_text import sentence_of_requests
from integrity.scenarios.subject import RequestSubject, cast_of
from integrity.systems.reflect import reflect
from integrity.verdict import Verdict

_CURL = "requests"
"""What a race of curl lines is called."""


def race_requests(
    subject: RequestSubject,
    target: Target,
    project: Project,
    settings: RequestRace | None = None,
    wanted: Wanted | None = None,
) -> Job[RequestsRaced]:
    """Search the orders of the statements that a scenario's requests make, and keep what is found.

    Raises:
        UsageError: the application cannot be started or reached, makes no statement that we see, or a request is wrong.
        UnsafeDatabase: it is running already, on a database that is not declared a test database.
        DatabaseError: the server is gone, or the role may not.
    """
    settings = settings or RequestRace()
    if wanted is not None and wanted.pytest_file is not None:
        check_unedited_of_requests(wanted.pytest_file)
    began = time.monotonic()
    with ExitStack() as stack:
        site = yield from open_site(subject, target, project, settings, stack)
        program = site.program()
        judge = Judge(site.stand.scheduler, program)
        found = explore(site.stand.scheduler, program, budget=settings.budget, seed=settings.seed, judge=judge)
        hits = (*found.hits, *found.apart[: not found.hits])
        findings = [finding_of_hit(site, hit, cast_of(subject.scenario), seed=settings.seed) for hit in hits]
        kept = yield from keep_found(site, findings, target, project, wanted or Wanted())
        if kept:  # before the cures: whatever happens there, the finding is kept
            kept[0] = yield from _with_cures(site, kept[0], began + settings.seconds)
        letters = {letter: actor.operation for letter, actor in zip(ascii_uppercase, program.actors, strict=False)}
        raced = RequestsRaced(letters, site.stand.rows, found, kept, judge.uncompared)
        name = subject.record.name or _CURL
        log_race(project, name, raced.verdict, sentence_of_requests(raced), [each.file for each in kept])
        return raced


def _with_cures(site: Site, kept: FindingKept, deadline: float) -> Job[FindingKept]:
    """Return what was kept with what was tried against it; tells why where that is nothing."""
    why = ""
    try:
        kept = replace(kept, finding=_cured(site, kept.finding, deadline))
        write_finding(kept.finding, kept.file)
    except NotBack:
        why = "played again with nothing changed, it did not go wrong"
    except UsageError as error:  # the application died of it, or goes on for ever
        why = error.message
    if why:
        yield Noted(f"what would prevent it was not tried: {why}")
    return kept


def _cured(site: Site, finding: Finding, deadline: float) -> Finding:
    """Return a finding of requests with what was tried against it on the wire, and on a copy of ours by unique indexes.

    Raises:
        NotBack: it does not go wrong again as it is.
    """
    assert finding.scenario is not None
    metadata = reflect(site.place, schemas_of(finding))
    program = site.program(finding.scenario.kept)
    tried = try_call_cures(
        site.stand,
        replace(program, is_strict=program.is_strict or finding.is_strict),
        Failing(finding.letters, finding.fingerprint, order_of(finding.events)),
        site.stand.statements,
        metadata=metadata,
        is_our_copy=site.subject.scenario.is_started_here,
        deadline=deadline,
    )
    cures = [record_of(each).model_dump(mode="json") for each in sorted(tried, key=lambda cure: not cure.is_whole)]
    shown = [CureRecord.model_validate(hidden_in(each, site.secrets)) for each in cures]
    return finding.model_copy(update={"cures": tuple(shown)})


def keep_found(
    site: Site, findings: Sequence[Finding], target: Target, project: Project, wanted: Wanted
) -> Job[list[FindingKept]]:
    """Keep what was found of requests, and write the files that are wanted of the first.

    Raises:
        UsageError: a file cannot be written.
    """
    kept = keep_all(findings, target, project, first=wanted.output)
    yield from (FileWritten((each.file,), is_told=False) for each in kept)
    if kept and wanted.pytest_file is not None:
        yield from export_requests(site, kept[0].finding, wanted.pytest_file, replay_command=kept[0].replay)
    return kept


def mutate_requests(
    subject: RequestSubject,
    target: Target,
    project: Project,
    settings: RequestRace | None = None,
) -> Job[Mutated]:
    """Take each protection out of the statements that a scenario's requests make, on the wire, and search for a race.

    Raises:
        UsageError: as race_requests; or the requests race as they are.
    """
    settings = settings or RequestRace()
    with ExitStack() as stack:
        site = yield from open_site(subject, target, project, settings, stack)
        found = explore(site.stand.scheduler, site.program(), budget=settings.budget, seed=settings.seed)
        if found.verdict is not Verdict.HOLDS:
            why = f": {'; '.join(found.coverage.reasons)}" if found.coverage.reasons and not found.hits else ""
            is_racy = any(hit.is_race for hit in found.hits)
            words = "racy" if is_racy else "wrong one after the other, too," if found.hits else "not known to be sound"
            raise UsageError(
                f"the requests are {words} with all their protections{why}",
                hint="Leave --mutate out, and see what is wrong.",
            )
        mutations = []
        seen = site.stand.statements
        is_copy = subject.scenario.is_started_here
        for mutation in mutate_calls(
            site.stand, site.program(), seen, budget=settings.budget, seed=settings.seed, is_copy=is_copy
        ):
            mutations.append(mutation)
            yield mutation
        return Mutated(mutations)


def finding_of_hit(site: Site, hit: Hit, cast: Cast, *, seed: int) -> Finding:
    """Return what is written down of a hit, as small as may be, without the secrets that were seen.

    Args:
        cast: that was raced.
    """

    def make(part: Cast) -> Program:
        return replace(site.program(part), is_strict=hit.is_apart or site.program(part).is_strict)

    least = find_least(site.stand.scheduler, make(cast), hit, cast=cast, make=make, seed=seed)
    calls = {
        letter: CallRecord(
            operation=actor.operation, arguments={}, returned=return_record(least.run.trace.returns.get(letter))
        )
        for letter, actor in zip(ascii_uppercase, least.program.actors, strict=False)
    }
    record = site.subject.record
    finding = finding_of_program(
        site.stand.scheduler,
        least.program,
        least.run,
        least.judgement,
        system=record.name or _CURL,
        calls=calls,
        seed=seed,
        played=hit.schedules,
        seconds=hit.seconds,
    )
    shown: Mapping[str, Any] = hidden_in(finding.model_dump(mode="json"), site.secrets)
    token = token_of(record.name, record.digest, least, cast_of(site.subject.scenario))
    kept = record.model_copy(update={"kept": least.cast, "token": str(token)})
    return Finding.model_validate(shown).model_copy(update={"scenario": kept})
