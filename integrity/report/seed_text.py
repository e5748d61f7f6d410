"""Seeding as text: how far it is, and what was made."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from integrity.engines.target import Target
from integrity.events import Event, Listener
from integrity.numbers import counted
from integrity.report.layout import fold, lay_table
from integrity.report.terminal import open_console, write_json, write_note, write_result
from integrity.seeds.load import Mode, SeedAdvanced, Seeded, SeedingPhase
from integrity.seeds.schema.fill import SchemaSeeded

LINE_EVERY_S = 5.0


@contextmanager
def show_seeding() -> Iterator[Listener]:
    """Yield a listener that shows how far seeding is: a bar a system on a terminal, else a line every few seconds.

    It is to be told before those that write something: the bar makes room for them.
    """
    if not sys.stderr.isatty():
        yield _line_writer()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=open_console(), transient=True) as bar:
        bar.stop()
        tasks: dict[str, TaskID] = {}

        def draw(event: Event) -> None:
            if not isinstance(event, SeedAdvanced):
                bar.stop()
                return
            if event.system not in tasks:
                tasks[event.system] = bar.add_task("", total=None)
            what = event.unit if event.phase is SeedingPhase.ROWS else "constraints, indexes"
            bar.update(tasks[event.system], description=f"{event.system}: {what}", completed=event.done, total=event.count)
            bar.start()

        yield draw


def _line_writer() -> Listener:
    last = 0.0

    def say(event: Event) -> None:
        nonlocal last
        if not isinstance(event, SeedAdvanced):
            return
        now = time.monotonic()
        if event.phase is SeedingPhase.INDEXES:
            write_note(f"{event.system}: making constraints and indexes")
        elif event.done == 0:
            write_note(f"{event.system}: making {event.count:,} {event.unit}")
            last = now
        elif now - last >= LINE_EVERY_S:
            write_note(f"{event.system}: {event.done:,} of {event.count:,} {event.unit}")
            last = now

    return say


def write_seeded(target: Target, mode: Mode, seeded: Sequence[Seeded], *, is_json: bool) -> None:
    """Write what was made to stdout."""
    if is_json:
        write_json(seeded_fields(target, mode, seeded))
    else:
        write_result(render_seeded(seeded))


def render_seeded(seeded: Sequence[Seeded]) -> str:
    """Return a table of the rows of each system, and how long they took."""
    parts = []
    for made in seeded:
        parts += _render_removed(made.removed)
        seconds = made.rows_s + made.indexes_s
        rows = [[made.places[table], f"{count:,}"] for table, count in made.row_counts.items()]
        rows.append(["together", f"{made.row_count:,}"])
        parts.append(lay_table(rows, ["table", "rows added"], align=("left", "right")))
        said = (
            f"{made.system}: {', '.join(f'{count:,} {name}' for name, count in made.sizes.items())}, seed {made.seed}: "
            f"{seconds:.1f} s "
            f"(rows {made.rows_s:.1f}, constraints and indexes {made.indexes_s:.1f}), {made.rows_per_second:,.0f} rows/s"
        )
        parts.append(f"\n{fold(said)}")
    if len(seeded) > 1:
        seconds = sum(made.rows_s + made.indexes_s for made in seeded)
        many = counted(sum(made.row_count for made in seeded), "row")
        parts.append(f"\n{counted(len(seeded), 'system')}: {many} in {seconds:.1f} s")
    return "\n".join(parts)


def _render_removed(removed: Mapping[str, int]) -> list[str]:
    """Return what is gone of the rows that were there before; nothing where none were."""
    gone = {table: count for table, count in removed.items() if count}
    if not gone:
        return []
    named = ", ".join(f"{count:,} of {table}" for table, count in gone.items())
    return [fold(f"Removed before: {counted(sum(gone.values()), 'row')}: {named}.") + "\n"]


def seeded_fields(target: Target, mode: Mode, seeded: Sequence[Seeded]) -> dict[str, object]:
    """Return the same for a program to read."""
    systems = [
        {
            "system": made.system,
            "sizes": dict(made.sizes),
            "seed": made.seed,
            "rows": dict(made.row_counts),
            "removed": dict(made.removed),
            "rows_s": round(made.rows_s, 3),
            "indexes_s": round(made.indexes_s, 3),
            "rows_per_second": round(made.rows_per_second),
        }
        for made in seeded
    ]
    return {"database": str(target), "mode": mode.value, "systems": systems}


def write_schema_seeded(target: Target, seeded: SchemaSeeded, *, is_json: bool) -> None:
    """Write to stdout what tables of others were filled with."""
    removed = {table: sum(counts) for table, counts in seeded.removed.items()}
    if is_json:
        fields = {
            "database": str(target),
            "schemas": seeded.name.split(","),
            "seed": seeded.seed,
            "rows": dict(seeded.row_counts),
            "removed": removed,
            "rows_s": round(seeded.rows_s, 3),
            "indexes_s": round(seeded.indexes_s, 3),
            "violated": dict(seeded.violated),
            "unjudged": list(seeded.unjudged),
        }
        write_json(fields)
        return
    rows = [[table, f"{count:,}"] for table, count in seeded.row_counts.items()]
    rows.append(["together", f"{seeded.row_count:,}"])
    table = lay_table(rows, ["table", "rows added"], align=("left", "right"))
    seconds = seeded.rows_s + seeded.indexes_s
    said = (
        f"{seeded.name}: {counted(len(seeded.row_counts), 'table')}, seed {seeded.seed}: {seconds:.1f} s (rows "
        f"{seeded.rows_s:.1f}, constraints and indexes {seeded.indexes_s:.1f}), {seeded.row_count / seconds:,.0f} rows/s"
    )
    write_result("\n".join([*_render_removed(removed), f"{table}\n\n{fold(said)}"]))
    if seeded.violated:
        write_result("\nThese rows pass all that the server checks, and break invariants of the project:")
        for name, count in seeded.violated.items():
            write_result(f"  {name}: {counted(count, 'row')}")
        write_result("No application made them: what `integrity validate` says of them is seed's doing.")
        write_result("Write values that fit in a seeds file, or begin on rows that your application made.")
    if seeded.unjudged:
        write_result(f"\nNot asked to the end of these rows: {', '.join(seeded.unjudged)}")
