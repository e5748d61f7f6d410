"""Plan: how each invariant is judged with as little reading as possible.

Each table is scanned at most once for all its row checks and fingerprints together; what has a proof (proof.py) needs its
query only if the proof fails; the rest is queried, longest first. Measured on 10,000,000 entries: one scan with five row
checks 4.4 times faster than five queries, fingerprints 3 to 4 times faster than the join they stand for, unlike joins fused
into one no faster than apart. So nothing else is fused.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from integrity.engines.facts import Facts, Table, TableName
from integrity.engines.scan import Answer, RowCount, Source, Words, scan_of
from integrity.engines.spelling import NotPortable, Spelling
from integrity.errors import describe_unexpected
from integrity.invariants.proof import Balance, NoRow, Proof, Unique, fingerprint_of, fingerprints_agree
from integrity.invariants.row_check import find_row_check
from integrity.invariants.shape import find_proofs
from integrity.invariants.syntax import Unlike, table_name, tables_of
from integrity.sql.file import SqlFile
from integrity.sql.parameters import find_parameters, replace_parameters
from integrity.value import Value

SEEDS = 2
JOIN_COST = 3  # a join or a group costs about as much as three scans of its tables: figures in research, order only matters


@dataclass(frozen=True, slots=True)
class Question:
    """An invariant's query, and what it is asked with.

    Args:
        values: of the file's parameters, in the order of `parameter_names`.
    """

    file: SqlFile
    values: tuple[Value, ...]


@dataclass(slots=True)
class Scan:
    """One query that reads a table once for several invariants.

    Args:
        source: what it reads.
        answers: what it is asked.
        parameters: of the answers; name -> type and value.
        invariants: the names it serves.
    """

    number: int
    source: Source
    answers: list[Answer] = field(default_factory=list)
    parameters: dict[str, tuple[str, Value]] = field(default_factory=dict)
    invariants: list[str] = field(default_factory=list)
    bytes: int = 0

    def query(self, spelling: Spelling) -> str:
        """Return its text, with `:name` for its parameters."""
        return scan_of(self.source, [spelling.answer(answer) for answer in self.answers])

    def add(self, answer: Answer, parameters: Mapping[str, tuple[str, Value]]) -> int:
        """Return the number of the answer, added unless it is there; its parameters have names of their own in the scan."""
        names = {name: f"{name}_{number}" for number, name in enumerate(parameters, start=len(self.parameters) + 1)}
        if isinstance(answer, RowCount) and isinstance(answer.condition, Words) and names:
            answer = RowCount(Words(replace_parameters(answer.condition.text, lambda name: f":{names[name]}")))
        if answer in self.answers:
            return self.answers.index(answer)
        self.answers.append(answer)
        self.parameters |= {names[name]: given for name, given in parameters.items()}
        return len(self.answers) - 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where the answers to a proof are: the scan's number and theirs."""

    scan: int
    answers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PlannedJudging:
    """How one invariant is judged.

    Args:
        proofs: each with the places of its answers; empty: the query decides.
        unjudged: why it is not asked at all; empty when it is.
        tables: those that it reads, the largest first: where they are all empty there is nothing to judge.
        missing: which of them the catalogue does not know: why, if its query fails.
        why: one phrase for people: what was recognised, or what stands against a proof.
        rows_estimate: of the largest table it reads; None when the catalogue does not know.
        cost: of its query, for the order only.
    """

    question: Question
    proofs: tuple[tuple[Proof, tuple[Place, ...]], ...]
    unjudged: str
    why: str
    rows_estimate: int | None
    cost: int
    tables: tuple[TableName, ...] = ()
    missing: str = ""

    @property
    def name(self) -> str:
        return self.question.file.name

    @property
    def scans(self) -> frozenset[int]:
        return frozenset(place.scan for _, places in self.proofs for place in places)

    @property
    def is_whole(self) -> bool:
        """One row check: the scan's count is the exact count of violations."""
        return len(self.proofs) == 1 and isinstance(self.proofs[0][0], NoRow) and self.proofs[0][0].is_whole

    def method(self, scans: Sequence[Scan]) -> str:
        """Return how it is judged if its proofs hold, e.g. "scan shared by 4", "fingerprint", "query"."""
        words: dict[str, None] = {}
        for proof, places in self.proofs:
            if isinstance(proof, Balance):
                words["fingerprint"] = None
            elif isinstance(proof, Unique):
                words[f"unique index {proof.index}"] = None
            else:
                sharing = len(scans[places[0].scan].invariants)
                words["scan" if sharing == 1 else f"scan shared by {sharing}"] = None
        return " + ".join(words) or "query"


@dataclass(frozen=True, slots=True)
class Plan:
    """Scans and steps. The seeds of the fingerprints are drawn anew for each audit, so that no data can fit them."""

    scans: tuple[Scan, ...]
    steps: tuple[PlannedJudging, ...]


def make_plan(
    files: Iterable[SqlFile],
    facts: Facts | None,
    *,
    refused: Mapping[str, str],
    now: datetime,
    spelling: Spelling,
    is_exact: bool,
    given: Mapping[str, Value],
    random_source: random.Random,
) -> Plan:
    """Return the plan for the files.

    Args:
        facts: of the tables that exist; None: the catalogue cannot be read, and each query is asked as it is.
        refused: by the names of those that are not to be asked, why not.
        now: of the snapshot; defaults of parameters count from it.
        spelling: of the database.
        is_exact: no proofs, no scans and no fingerprints; each query is asked as its file has it.
        given: values of parameters, for the files that have them.
    """
    seeds = [random_source.getrandbits(62) for _ in range(SEEDS)]
    scans: dict[Source, Scan] = {}

    def make_step(file: SqlFile) -> PlannedJudging:
        if refused.get(file.name):
            return _unjudged(file, refused[file.name])
        question, unjudged = _question(file, given, now, spelling)
        if unjudged:
            return _unjudged(file, unjudged)
        tables = tables_of(file.tree)
        known = facts or {}
        missing = "" if facts is None else _missing(tables, known)
        proofs: tuple[Proof, ...] = ()
        why = missing or "the catalogue cannot be read"
        if is_exact:
            why = missing or "exact, as it is written"
        elif facts is not None and not missing:
            try:
                proofs, why = _find_proofs(question, known, spelling)
            except Exception as error:  # what is too deep for us to take apart may be nothing to the server
                why = describe_unexpected(error)
        placed = []
        for proof in proofs:
            place = _placer(scans, question, tables, known)
            placed.append((proof, _place(proof, place, seeds)))
        estimates = [known[table].rows_estimate for table in tables if table in known]
        return PlannedJudging(
            question=question,
            proofs=tuple(placed),
            unjudged="",
            why=why,
            rows_estimate=max((rows for rows in estimates if rows is not None), default=None),
            cost=sum(_size(known, table) for table in tables) * (JOIN_COST if len(tables) > 1 else 1),
            tables=tuple(sorted(tables, key=lambda table: (-_size(known, table), table))),
            missing=missing,
        )

    steps = []
    for file in files:
        try:
            steps.append(make_step(file))
        except Exception as error:  # whatever one file does to the planner, the others are judged
            steps.append(_unjudged(file, describe_unexpected(error)))
    return Plan(tuple(scans.values()), tuple(steps))


def is_proved(proof: Proof, places: Sequence[Place], answers: Sequence[Sequence[Any] | None]) -> bool:
    """Whether the scans' answers show what the proof is to show.

    Args:
        answers: by the scan's number, their values.
    """
    values = [[answers[place.scan][number] for number in place.answers] for place in places]  # type: ignore[index]  # judged after its scans
    if isinstance(proof, NoRow):
        return not values[0][0]
    if isinstance(proof, Balance):
        return fingerprints_agree(values[0], values[1] if proof.right else None, SEEDS)
    return True


def _question(file: SqlFile, given: Mapping[str, Value], now: datetime, spelling: Spelling) -> tuple[Question, str]:
    values = file.values({name: given[name] for name in file.parameter_names if name in given}, now=now)
    ordered = tuple(values[name] for name in file.parameter_names)
    why = ""
    try:
        spelling.numbered(file)
    except NotPortable as reason:
        why = f"not for {spelling.title}: {reason}"
    return Question(file, ordered), why


def _unjudged(file: SqlFile, why: str) -> PlannedJudging:
    return PlannedJudging(Question(file, ()), (), unjudged=why, why=why, rows_estimate=None, cost=0)


def _missing(tables: Iterable[TableName], facts: Facts) -> str:
    missing = sorted(str(table) for table in tables if table not in facts)
    more = f", nor {', '.join(missing[1:])}" if missing[1:] else ""
    return f"there is no table {missing[0]}{more}" if missing else ""


def _find_proofs(question: Question, facts: Facts, spelling: Spelling) -> tuple[tuple[Proof, ...], str]:
    query = question.file.tree
    if query is None:
        return (), "not known to the parser: asked as it stands"
    try:
        return (find_row_check(question.file.text, query, facts, spelling),), "row check of one table"
    except Unlike as reason:
        if not spelling.is_typed:  # nothing but a row's own columns can be told of there
            return (), str(reason)
    try:
        proofs = find_proofs(query, facts, spelling)
    except Unlike as reason:
        return (), str(reason)
    kinds = {NoRow: "row check", Balance: "sums by key", Unique: "no duplicates"}
    return proofs, ", ".join(dict.fromkeys(kinds[type(proof)] for proof in proofs))


def _placer(
    scans: dict[Source, Scan], question: Question, tables: frozenset[TableName], facts: Facts
) -> Callable[[Source, Answer], Place]:
    """Return a function that gives an answer a place in the scan of its source."""
    file = question.file

    def place(source: Source, answer: Answer) -> Place:
        scan = scans.setdefault(source, Scan(len(scans), source))
        read = {table_name(source.table), *(table_name(lookup.table) for lookup in source.lookups)}
        if file.name not in scan.invariants:
            scan.invariants.append(file.name)
        scan.bytes = max(scan.bytes, *(_size(facts, table) for table in tables if table in read), 0)
        types = file.types
        values = dict(zip(file.parameter_names, question.values, strict=True))
        words = answer.condition.text if isinstance(answer.condition, Words) else ""
        given = {name: (types[name], values[name]) for name in find_parameters(words)}
        return Place(scan.number, (scan.add(answer, given),))

    return place


def _place(proof: Proof, place: Callable[[Source, Answer], Place], seeds: Sequence[int]) -> tuple[Place, ...]:
    if isinstance(proof, NoRow):
        return (place(proof.source, RowCount(proof.predicate)),)
    if isinstance(proof, Unique):
        return ()
    placed = []
    for side in (proof.left, proof.right):
        if side is not None:
            parts = [place(side.source, answer) for answer in fingerprint_of(side, seeds)]
            placed.append(Place(parts[0].scan, tuple(part.answers[0] for part in parts)))
    return tuple(placed)


def _size(facts: Facts, table: TableName) -> int:
    return facts.get(table, Table()).bytes
