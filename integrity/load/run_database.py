"""The database under a run: whether it is fit to be hammered, and which keys the calls of a workload may name there.

Is it ours, seeded and large enough? Then what a bug leaves out is dropped, or made again, and the keys are read.
"""

import math
import shlex
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from integrity.database.constraints import find_missing, is_matched, plant, restore
from integrity.database.names import located
from integrity.database.namespace import Contents, guard, keep_books
from integrity.domain import Key, World
from integrity.engines.hold import Hold
from integrity.engines.occupancy import RUN, occupy
from integrity.engines.places import schema_of
from integrity.engines.server_facts import ServerFacts
from integrity.engines.target import Target
from integrity.errors import DatabaseError, SeedError, UsageError, quote
from integrity.load.profile import ClosedProfile, OpenProfile
from integrity.load.waiting import HOUR_S
from integrity.load.workload import Workload
from integrity.monitor.limits import SPARE_CONNECTIONS
from integrity.numbers import counted, show_duration
from integrity.runs.result import NotRun
from integrity.systems.keys import read_keys
from integrity.systems.made_rows import find_table
from integrity.systems.reflect import Reflected
from integrity.typed import typed

FILLED_WITH = 50
"""Rows that a table is to be filled with, where nobody said how many: clients meet on some and pass each other by."""


@dataclass(frozen=True, slots=True)
class RunDatabase:
    """A database that a workload is let loose on.

    Args:
        test_database: as guard takes it.
        is_served: calls go to a server, which works there: it has the connections, and what a bug leaves out is its matter.
    """

    target: Target
    workload: Workload
    test_database: str | None = None
    is_served: bool = False

    def occupy(self, profile_name: str) -> AbstractContextManager[Hold]:
        """Hold it for the block, together with other runs: as long as we work there, nobody drops it under us.

        Taken again when a crash or a fault ends its session.
        """
        who = f"{RUN}{self.workload.system.name} {profile_name}"
        return occupy(self.target, who, part=self.workload.system.name, is_exclusive=False, is_kept=True)

    def prepare(self, hold: Hold) -> ServerFacts:
        """Return the server's facts when the run may begin; the bug is planted then, or the sound schema whole again.

        Args:
            hold: on the database. Nobody else may work there where tables are to be altered.

        Raises:
            DatabaseError: somebody works there, whose tables would be altered under him.
            SeedError: a bug has broken its data.
            AuditError: as check.
        """
        facts, is_seeded = self.check()
        target, system, bug = self.target, self.workload.system, self.workload.bug
        if not is_seeded:
            keep_books(target, system, self.workload.operations.values())
        elif bug is not None or not self.is_served:
            self._match_constraints(hold)
        return facts

    def check(self) -> tuple[ServerFacts, bool]:
        """Return the server's facts, and whether the system was seeded there, where the run may begin; nothing is altered.

        Raises:
            Unreachable: no connection, or no such file.
            UnsafeDatabase: it holds tables that we did not make.
            SeedError: the system is not there.
            UsageError: more connections than the server takes, or a bug that would alter tables that we did not make.
        """
        target, system, bug = self.target, self.workload.system, self.workload.bug
        target.require()
        contents = guard(target, self.test_database)
        is_seeded = f"seed:{system.name}" in contents.notes
        if not is_seeded:
            self._check_tables(contents)
        if bug is not None and bug.dropped and not is_seeded:
            raise UsageError(
                f"{target}: bug {bug.name} leaves out {', '.join(bug.dropped)}, and the tables of {system.name} are "
                "not ours",
                hint="Nothing that somebody made is altered: run it where integrity seed has made them.",
            )
        facts = target.engine.read_server(target)
        if not self.is_served:
            self._check_room(facts)
        return facts, is_seeded

    def put_back(self, hold: Hold) -> str:
        """Make again what the bug had left out, as its server ends; return why that is not possible, empty where it is."""
        bug = self.workload.bug
        if bug is None or not bug.dropped:
            return ""
        try:
            replace(self, workload=replace(self.workload, bug=None))._match_constraints(hold)
        except (SeedError, DatabaseError) as error:
            return f"what bug {bug.name} leaves out is not put back: {error}"
        return ""

    def describe_missing(self) -> str:
        """Return what of its constraints the database of a server that is asked lacks; empty: nothing."""
        missing = find_missing(self.target, self.workload.system.metadata) if self.is_served else ()
        if not missing:
            return ""
        many = counted(len(missing), "constraint or index is", "constraints or indexes are")
        return (
            f"{many} missing: {', '.join(missing)}\n  hint: A server with a bug leaves them out while it serves; else a "
            f"sound one makes them again as it starts: {typed(f'serve {self.workload.system.name}')}"
        )

    def read_world(self) -> World:
        """Return the keys that calls may name, as the database holds them now.

        Raises:
            UsageError: a pool that calls draw from is not the system's.
            SeedError: it is empty, or a stream stands at a door that is not there.
            DatabaseError: the database refuses the query of a pool.
        """
        profile, system = self.workload.profile, self.workload.system.name
        self.workload.check_pools()
        keys = self._read_keys()
        for pool, count in self.workload.needed_keys.items():
            found = len(keys.get(pool, ()))
            if found < count:
                raise SeedError(
                    f"{self.target}: the profile needs {count} of {system}'s {pool}, and there are {found}",
                    hint=self._how_to_fill(pool, count, is_empty=not found),
                )
        named = {pool: self._named(pool, texts, keys.get(pool, ())) for pool, texts in profile.keys.items()}
        return World(keys=keys, hot_share=profile.hot_share, hot_count=profile.hot_count, named=named)

    def _named(self, pool: str, texts: Sequence[str], keys: Sequence[Key]) -> Sequence[Key]:
        """Return the keys that were asked for by name."""
        spelt = {str(key): key for key in keys}
        if lacking := next((text for text in texts if text not in spelt), None):
            raise UsageError(
                f"{self.target}: {self.workload.system.name} has no {quote(lacking)} among its {pool}",
                hint=f"They are named by --key {pool}=..., a variable or [profiles]. Some that are there: "
                f"{', '.join(list(spelt)[:5]) or 'none'}.",
            )
        return [spelt[text] for text in texts]

    def narrowed(self) -> tuple["RunDatabase", Sequence[NotRun]]:
        """Return the same with the operations that can be called now, and the others, with what they lack.

        Calls are drawn from the keys that there are when the run begins. Where a closed loop's other operations make the
        rows that one is called with, the next run calls it. A seeder's system whose rows lack is broken: it stays whole,
        and so does a profile none of whose operations can be called.

        Raises:
            UsageError, DatabaseError: as read_world.
        """
        profile, system = self.workload.profile, self.workload.system
        if not isinstance(profile, ClosedProfile) or system.seeder is not None:
            return self, ()
        self.workload.check_pools()
        keys = self._read_keys()
        empty = {pool for pool in self.workload.needed_keys if not keys.get(pool)}
        lacking = {name: pools for name in profile.operations if (pools := sorted(empty & self.workload.pools_of(name)))}
        left = {name: weight for name, weight in profile.weights.items() if name not in lacking}
        if not lacking or not any(left.values()):
            return self, ()
        workload = replace(self.workload, profile=profile.model_copy(update={"weights": left}))
        reasons = {name: f"there is no row yet of {', '.join(pools)}" for name, pools in lacking.items()}
        return replace(self, workload=workload), [NotRun(operation=name, reason=why) for name, why in reasons.items()]

    def _read_keys(self) -> dict[str, list[Key]]:
        return read_keys(self.target, self.workload.system)

    def _how_to_fill(self, pool: str, count: int, *, is_empty: bool) -> str:
        """Return what gives a pool of keys as many as are needed: a command that runs as it stands, where there is one."""
        system, profile = self.workload.system, self.workload.profile
        if isinstance(profile, OpenProfile) and profile.fits_hour:  # what there is of it is a matter of the hour
            left = show_duration(math.ceil(HOUR_S - time.time() % HOUR_S))
            seed = typed(f"seed --system {system.name} --replace")
            return f"Wait for the next hour, which begins in {left}, or seed a whole world: {seed}"
        if system.seeder:
            return f"Seed a whole world: {typed(f'seed --system {system.name} --replace')}"
        table = find_table(system.metadata, pool) if isinstance(system.metadata, Reflected) else None
        if table is None or not is_empty or not self.target.engine.speaks_postgresql:
            return f"Make rows that it finds: {' '.join(system.pools[pool].split())}"
        words = ["seed", "--schema", schema_of(table), "--rows", f"{table.name}={max(count, FILLED_WITH)}"]
        words += ["--yes-this-is-a-test-database", self.test_database] if self.test_database else []
        return f"Fill it: {typed(shlex.join(words))}"

    def _match_constraints(self, hold: Hold) -> None:
        """Plant the bug, or make the sound schema whole again."""
        target, system, bug = self.target, self.workload.system, self.workload.bug
        altered = f"the tables of {system.name} would be altered under it"
        why = f"{altered}: bug {bug.name} leaves out constraints" if bug else f"{altered}: they lack what a bug left out"
        with nullcontext() if is_matched(target, system, bug.dropped if bug else ()) else hold.alone(why):
            if bug is not None:
                plant(target, system, bug.dropped, bug=bug.name)
            else:
                restore(target, system)

    def _check_tables(self, contents: Contents) -> None:
        """Refuse a system that was not seeded, unless somebody else made all its tables."""
        target, system = self.target, self.workload.system
        missing = [located(table, "") for table in system.metadata.sorted_tables if not contents.has(table)]
        if contents.of_others(system) and missing:
            raise SeedError(
                f"{target}: tables of {system.name} are missing: {', '.join(missing)}",
                hint="Make them as you made the others; the system's metadata says which it has.",
            )
        if not contents.of_others(system):
            made = f"{typed(f'seed --system {system.name}')}" if system.seeder else "it has no seeder, so by its own means"
            raise SeedError(f"{target}: there is no data of {system.name} to run on", hint=f"Make it first: {made}")

    def _check_room(self, facts: ServerFacts) -> None:
        if facts.slots is None:
            return
        free = facts.slots - facts.used - SPARE_CONNECTIONS
        count = self.workload.profile.connection_count
        if count > free:
            option = "--clients" if self.workload.pool_size is None else "--connections"
            raise UsageError(
                f"{counted(count, 'connection is', 'connections are')} asked for, and {self.target} has "
                f"{max(free, 0)} to give ({facts.slots} in all, {facts.used} in use, {SPARE_CONNECTIONS} kept free)",
                hint=f"Ask for fewer with {option}, or raise the server's max_connections.",
            )
