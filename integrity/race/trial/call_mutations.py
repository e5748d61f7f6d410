"""Mutations of calls that are not ours: each protection is taken out of their statements on the wire, one at a time.

The application stays as it is; the server is given the statement without `for update`, without `on conflict`, or the begin
at the least level. The search must then find a race: where it finds none, each other one that is not needed alone is taken
away with it. If that goes wrong, they guard the same (redundant); if not, it guards nothing that the test sees (vacuous).
What would help against a race that was found is tried likewise: see call_cures.py.
"""

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from integrity.operation import Statement
from integrity.race.gated.postgresql.stand import Stand
from integrity.race.judge.judge import Judge
from integrity.race.program.program import Program, Standing
from integrity.race.program.statements import written_tables
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.mutate import SCHEDULES_MAX, Attempt, Mutation
from integrity.race.trial.statement_parts import find_on_conflict, find_row_lock
from integrity.verdict import Verdict

_LEVEL = re.compile(r"\b(isolation\s+level|transaction_isolation\b\W+)\s*'?(serializable|repeatable\s+read)", re.IGNORECASE)
_WORDS_MOST = 60

# What a foreign key of another table needs cannot be dropped alone.
_CONSTRAINTS = """
select
    c.relname as name, k.conname as constraint,
    format('alter table %s drop constraint %I', c.oid::regclass, k.conname) as drop,
    format('alter table %s add constraint %I %s', c.oid::regclass, k.conname, pg_get_constraintdef(k.oid)) as restore
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as c on c.oid = k.conrelid
where k.contype in ('u', 'c', 'x') and k.conislocal and c.oid::int8 = any (:tables::int8[])
    and not exists (select from pg_catalog.pg_constraint as f where f.contype = 'f' and f.conindid = k.conindid)
union all
select c.relname, i.relname, format('drop index %s', i.oid::regclass), pg_get_indexdef(i.oid)
from pg_catalog.pg_index as x
join pg_catalog.pg_class as c on c.oid = x.indrelid
join pg_catalog.pg_class as i on i.oid = x.indexrelid
where x.indisunique and not x.indisprimary and c.oid::int8 = any (:tables::int8[])
    and not exists (select from pg_catalog.pg_constraint as k where k.conindid = x.indexrelid)
order by 1, 2
"""


@dataclass(frozen=True, slots=True)
class CallProtection:
    """Something in statements that keeps calls apart, or would.

    Args:
        name: e.g. "for update: select balance from wallets ..."
        changes: text of a statement -> the text without it, or with it.
        drop, restore: of a constraint or a unique index, the statements that drop it and make it again.
    """

    name: str
    changes: Mapping[str, str] = field(default_factory=dict)
    drop: str = ""
    restore: str = ""


def find_protections(statements: tuple[str, ...]) -> Iterator[CallProtection]:
    """Yield what in these statements keeps calls apart."""
    for sql in statements:
        for part in (find_row_lock(sql), find_on_conflict(sql)):
            if part is not None:
                yield CallProtection(f"{part.text}: {_short(part.remove())}", {sql: part.remove()})
    lowered = {sql: _LEVEL.sub(_at_least_level, sql) for sql in statements if _LEVEL.search(sql)}
    if lowered:
        levels = {" ".join(found[2].lower().split()) for sql in lowered for found in _LEVEL.finditer(sql)}
        yield CallProtection(f"isolation level {' and '.join(sorted(levels))}", lowered)


def find_constraints(stand: Stand, statements: tuple[str, ...]) -> Iterator[CallProtection]:
    """Yield the constraints and unique indexes, keys apart, of the tables that these statements write."""
    written = {table.rpartition(".")[2] for sql in statements for table in written_tables(sql)}
    (answer,) = stand.scheduler.ask(
        [Statement(_CONSTRAINTS, {"tables": f"{{{','.join(map(str, stand.capture.tables))}}}"})]
    )
    for row in answer.rows:
        if row["name"] in written:
            yield CallProtection(f"{row['name']}: {row['constraint']}", drop=row["drop"], restore=row["restore"])


def mutate_calls(
    stand: Stand, program: Program, statements: tuple[str, ...], *, budget: Budget, seed: int = 0, is_copy: bool = False
) -> Iterator[Mutation]:
    """Yield what each protection in the statements of a program's calls is good for, which must be sound as they are.

    Args:
        statements: that they were seen to make.
        is_copy: the database is one of ours, whose constraints may be dropped for a while.

    Raises:
        DatabaseError: the server is gone.
    """
    constraints = find_constraints(stand, statements) if is_copy else ()
    trial = _Trial(stand, program, budget, seed)
    protections = (*find_protections(statements), *constraints)
    for protection in protections:
        attempts = [attempt for attempt in [trial.attempt(protection)] if attempt is not None]
        if attempts and attempts[0].hit is None:
            others = (each for each in protections if each is not protection and _may_guard_the_same(protection, each))
            backed = (trial.attempt(protection, other) for other in others if trial.is_vacuous(other))
            attempts += [each for each in backed if each is not None and each.hit is not None][:1]
        yield Mutation(protection.name, is_constraint=bool(protection.drop), attempts=tuple(attempts))


def _may_guard_the_same(one: CallProtection, other: CallProtection) -> bool:
    """Return whether two can be taken away together: constraints alone are tried alone, as are parts of one statement."""
    return not (one.drop and other.drop) and not one.changes.keys() & other.changes.keys()


@dataclass(frozen=True, slots=True)
class _Trial:
    stand: Stand
    program: Program
    budget: Budget
    seed: int
    _known: dict[frozenset[str], Attempt | None] = field(default_factory=dict)

    def is_vacuous(self, protection: CallProtection) -> bool:
        """Return whether nothing goes wrong without it, as long as the others are there."""
        alone = self.attempt(protection)
        return alone is not None and alone.hit is None

    def attempt(self, *removed: CallProtection) -> Attempt | None:
        """Return what comes of the calls without these; None: that is not known."""
        key = frozenset(each.name for each in removed)
        if key not in self._known:
            self._known[key] = self._search(removed)
        return self._known[key]

    def _search(self, removed: Sequence[CallProtection]) -> Attempt | None:
        changed = replace(self.program, standing=Standing())
        least = replace(self.budget, schedules=min(self.budget.schedules, SCHEDULES_MAX))
        scheduler = self.stand.scheduler
        with ExitStack() as stack:
            for each in removed:
                stack.enter_context(self.stand.altered(each.drop, each.restore))
            stack.enter_context(self.stand.changing(dict(ChainMap(*(dict(each.changes) for each in removed)))))
            found = explore(scheduler, changed, budget=least, seed=self.seed, judge=Judge(scheduler, changed))
        if not found.hits and found.verdict is not Verdict.HOLDS:
            return None
        hit = found.hits[0] if found.hits else None
        names = tuple(actor.operation for actor in self.program.actors)
        return Attempt(tuple(each.name for each in removed), names if hit else (), hit, 1, 1, found.coverage.played)


def _at_least_level(found: re.Match[str]) -> str:
    return found[0][: found.start(2) - found.start()] + "read committed"


def _short(sql: str) -> str:
    text = " ".join(sql.split())
    return text if len(text) <= _WORDS_MOST else f"{text[:_WORDS_MOST]}..."
