"""The job of seeding: systems filled side by side, each whole or not at all.

    seeding = choose(project, system_names=("ghostpass",), sizes={"wallets": 5000}, seed=1, mode=Mode.NEW)
    listen(seeding.play(target))

Interrupted between two systems it knows what it has made by then, and the same call goes on with those that are missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integrity.database.made import OURS
from integrity.database.namespace import Contents, create_bookkeeping, guard
from integrity.engines.target import Target
from integrity.engines.transaction import transaction
from integrity.errors import UsageError
from integrity.events import Job, Noted
from integrity.jobs.together import Reins, play_together
from integrity.project import Project
from integrity.registry import SYSTEMS, Registry
from integrity.seeds.load import Mode, Seeded, check_numbers, check_state, fill, is_made, seeder_of
from integrity.systems.system import System
from integrity.typed import typed

SIDE_BY_SIDE = 2
"""Systems at a time: each keeps a process of the server and, while it makes rows, one of ours busy."""


@dataclass(slots=True)
class Seeding:
    """What is to be made, and what has been.

    Args:
        sizes: by name, those that were given.
        left: not made yet, or not found there.
        passed_over: of each system that cannot be imported, why.
        folder: of the project.
    """

    systems: Sequence[System]
    sizes: Mapping[str, int]
    seed: int
    mode: Mode
    left: list[System]
    seeded: list[Seeded] = field(default_factory=list)
    passed_over: Sequence[str] = ()
    folder: Path | None = None

    def play(self, target: Target, *, test_database: str | None = None) -> Job[None]:
        """Make what is to be made; what an interrupted seeding has made by now is left as it is.

        Args:
            test_database: as guard takes it.

        Raises:
            UnsafeDatabase: the database holds tables that we did not make.
            SeedError: it is not in the state that the mode needs.
            DatabaseError: it refused something, or somebody works there.
        """
        yield from map(Noted, self.passed_over)
        contents = guard(target, test_database)
        if self.mode is Mode.NEW:
            missing = [system for system in self.systems if not is_made(contents, system, self.sizes, self.seed)]
            self.left = missing or self.left
            for system in self.systems:
                if system not in self.left:
                    yield Noted(f"{system.name}: is there already, as asked for")
        for system in self.left:
            check_state(contents, system, self.mode)
        if self.mode is Mode.NEW and len(self.left) > 1 and not target.engine.has_one_writer:
            yield from self._play_together(target, test_database)
        while self.left:
            contents = guard(target, test_database)
            made = yield from self._fill(target, contents, self.left[0])
            self.seeded.append(made)
            del self.left[0]

    def _play_together(self, target: Target, test_database: str | None) -> Job[None]:
        """Make systems side by side: while the server builds indexes of one, it takes rows of another."""
        contents = guard(target, test_database)
        if not contents.is_ours:  # made by one of them, the others could not see our books
            with transaction(target, (OURS,)) as connection:
                create_bookkeeping(connection)
        waiting = list(self.left)

        def start(system: System) -> Callable[[Reins[Seeded]], Job[Seeded]]:
            return lambda reins: self._fill(target, contents, system, hold=reins.hold)

        def take(place: int, made: Seeded) -> None:
            self.seeded.append(made)
            self.left.remove(waiting[place])

        yield from play_together([start(system) for system in waiting], most=SIDE_BY_SIDE, done=take)
        order = [system.name for system in self.systems]
        self.seeded.sort(key=lambda made: order.index(made.system))

    def _fill(
        self, target: Target, contents: Contents, system: System, hold: Callable[[Any], None] | None = None
    ) -> Job[Seeded]:
        """Fill one, by the project's own seeds/<system>.toml where it has one."""
        own = self.folder / "seeds" / f"{system.name}.toml" if self.folder is not None else None
        settings = own if own is not None and own.is_file() else None
        return fill(
            target, contents, system, sizes=self.sizes, seed=self.seed, mode=self.mode, settings=settings, hold=hold
        )

    def describe_interruption(self) -> str:
        """Return what an interruption has left, and how to go on: only what was added to must not be added to again."""
        if not self.left:
            return "interrupted; all is made."
        *others, last = [system.name for system in self.left]
        left = f"{', '.join(others)} and {last} are as they were" if others else f"{last} is as it was"
        return f"interrupted; {left} before. {self._describe_rest()}"

    def _describe_rest(self) -> str:
        if not self.seeded:
            return "Seed again when you like."
        made = ", ".join(each.system for each in self.seeded)
        if self.mode is not Mode.APPEND:
            return f"Made by now: {made}. Give the same command again."
        known = {size.name for system in self.left for size in seeder_of(system).sizes}
        words = ["--append", *(f"--system {system.name}" for system in self.left), f"--seed {self.seed}"]
        words += [_option(name, str(count)) for name, count in self.sizes.items() if name in known]
        again = typed(" ".join(["seed", *words]))
        return f"Added to by now: {made}. To go on, on the same database: {again}"


def choose(
    project: Project, *, system_names: Sequence[str] = (), sizes: Mapping[str, int], seed: int, mode: Mode
) -> Seeding:
    """Return what is to be made: of these systems, or of all that have a seeder.

    Raises:
        UsageError: there is no such system, it has no such size, or a number makes no sense.
    """
    registry = Registry(project)
    systems = [registry.find(name) for name in dict.fromkeys(system_names)] or registry.seeded()
    _check_known(sizes, systems)
    for system in systems:
        check_numbers(system, sizes, seed)
    return Seeding(
        systems, sizes, seed, mode, left=list(systems), passed_over=registry.describe_passed_over(), folder=project.folder
    )


def mode_of(*, replaces: bool, appends: bool) -> Mode:
    """Return the mode of the two options.

    Raises:
        UsageError: both.
    """
    if replaces and appends:
        raise UsageError("--replace and --append exclude each other", hint="Name one of them.")
    return Mode.REPLACE if replaces else Mode.APPEND if appends else Mode.NEW


def _check_known(sizes: Mapping[str, int], systems: Sequence[System]) -> None:
    """Raise for a size that none of the systems has."""
    known = dict.fromkeys(size.name for system in systems for size in seeder_of(system).sizes)
    for name in sizes:
        if name not in known:
            raise UsageError(
                f"{_option(name)}: {' and '.join(system.name for system in systems)} has no {name}",
                hint=f"Its sizes are: {', '.join(map(_option, known))}.",
            )


def _option(name: str, count: str = "") -> str:
    """Return the option that gives a size, with its number: those of the reference systems have one each."""
    if any(name == size.name for system in SYSTEMS.values() if system.seeder for size in system.seeder.sizes):
        return f"--{name} {count}".strip()
    return f"--size {name}={count or 'N'}"
