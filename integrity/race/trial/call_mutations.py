"""Mutations of calls that are not ours: each protection is taken out of their statements on the wire, one at a time.

The application stays as it is; the server is given the statement without `for update`, without `on conflict`, or the begin
at the least level. The search must then find a race: where it finds none, the protection guards nothing that the test sees,
or something else guards the same. Cures are tried likewise, against a race that was found: a lock that a select lacks, a
higher level for what begins a transaction.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from integrity.operation import Statement
from integrity.race.gated.postgresql.stand import Stand
from integrity.race.judge.judge import Judge
from integrity.race.program.program import Program, Standing
from integrity.race.program.statements import tables_of, written_tables
from integrity.race.search.exploration import Exploration
from integrity.race.search.explore import Budget, explore
from integrity.race.trial.mutate import SCHEDULES_MAX, Attempt, Mutation
from integrity.race.trial.statement_parts import find_on_conflict, find_row_lock, lock_rows
from integrity.verdict import Verdict

_LEVEL = re.compile(r"\b(isolation\s+level|transaction_isolation\b\W+)\s*'?(serializable|repeatable\s+read)", re.IGNORECASE)
_BEGINS = re.compile(r"\s*(begin|start\s+transaction)\b(?!.*isolation)", re.IGNORECASE | re.DOTALL)
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


def find_cures(statements: tuple[str, ...]) -> Iterator[CallProtection]:
    """Yield what can be tried in these statements: a lock on what is read of tables that they write, a higher level."""
    written = {table for sql in statements for table in written_tables(sql)}
    for sql in statements:
        locked = lock_rows(sql)
        if locked and tables_of(sql) & written:
            yield CallProtection(" ".join(locked.split()), {sql: locked})
    begins = [sql for sql in statements if _BEGINS.match(sql)]
    for level in ("repeatable read", "serializable") if begins else ():
        changes = {sql: _BEGINS.sub(rf"\1 isolation level {level}", sql, count=1) for sql in begins}
        yield CallProtection(f"isolation level {level}", changes)


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
    names = tuple(actor.operation for actor in program.actors)
    constraints = find_constraints(stand, statements) if is_copy else ()
    for protection in (*find_protections(statements), *constraints):
        found = _explore(stand, program, protection, budget=budget, seed=seed)
        hit = found.hits[0] if found.hits else None
        attempt = Attempt((protection.name,), names if hit else (), hit, 1, 1, found.coverage.played)
        is_known = hit is not None or found.verdict is Verdict.HOLDS
        yield Mutation(protection.name, is_constraint=bool(protection.drop), attempts=(attempt,) if is_known else ())


def try_cures(
    stand: Stand, program: Program, statements: tuple[str, ...], *, budget: Budget, seed: int = 0
) -> Iterator[tuple[str, bool]]:
    """Yield what was tried against a race, and whether all schedules of the budget were right with it.

    Raises:
        DatabaseError: the server is gone.
    """
    for cure in find_cures(statements):
        found = _explore(stand, program, cure, budget=budget, seed=seed)
        yield cure.name, found.verdict is Verdict.HOLDS


def _explore(stand: Stand, program: Program, change: CallProtection, *, budget: Budget, seed: int) -> Exploration:
    changed = replace(program, standing=Standing())
    least = replace(budget, schedules=min(budget.schedules, SCHEDULES_MAX))
    with stand.altered(change.drop, change.restore), stand.changing(change.changes):
        return explore(stand.scheduler, changed, budget=least, seed=seed, judge=Judge(stand.scheduler, changed))


def _at_least_level(found: re.Match[str]) -> str:
    return found[0][: found.start(2) - found.start()] + "read committed"


def _short(sql: str) -> str:
    text = " ".join(sql.split())
    return text if len(text) <= _WORDS_MOST else f"{text[:_WORDS_MOST]}..."
