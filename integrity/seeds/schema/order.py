"""In which order tables are made: parents first; a circle is opened where a parent's keys are known before its rows are."""

from collections.abc import Mapping

from integrity.errors import UsageError, quote
from integrity.seeds.schema.plan import Plan


def order_plans(plans: Mapping[str, Plan]) -> list[Plan]:
    """Return the plans so that what a table takes over is made, or numbered, before it.

    Raises:
        UsageError: tables refer to each other in a circle, and the keys of none are known beforehand; names them.
    """
    ordered: list[Plan] = []
    done: set[str] = set()
    left = dict(plans)
    while left:
        ready = [
            name for name, plan in left.items() if all(_is_known(name, parent, plans, done) for parent in _needs(plan))
        ]
        # One whose parents are all made is better than one that must trust their numbers.
        made = [name for name in ready if all(parent in done or parent == name for parent in _parents(left[name], plans))]
        if not ready:
            _refuse(left, plans)
        name = (made or ready)[0]
        done.add(name)
        ordered.append(left.pop(name))
    return ordered


def _parents(plan: Plan, plans: Mapping[str, Plan]) -> list[str]:
    return [reference.parent for reference in plan.taken if reference.parent in plans]


def _needs(plan: Plan) -> list[tuple[str, tuple[str, ...]]]:
    return [(reference.parent, reference.parent_columns) for reference in plan.taken]


def _is_known(name: str, needed: tuple[str, tuple[str, ...]], plans: Mapping[str, Plan], done: set[str]) -> bool:
    parent, columns = needed
    if parent in done or parent == name or parent not in plans:
        return True
    return all(column in plans[parent].numbered for column in columns)


def _refuse(left: Mapping[str, Plan], plans: Mapping[str, Plan]) -> None:
    for name, plan in left.items():
        for reference in plan.taken:
            if _is_known(name, (reference.parent, reference.parent_columns), plans, set(plans) - set(left)):
                continue
            if all(not plan.table.columns[column].is_required for column in reference.columns):
                plan.taken.remove(reference)
                plan.left_out += reference.columns
                return
    circle = ", ".join(sorted(left)[:6])
    first = next(iter(left.values()))
    reference = first.taken[0]
    raise UsageError(
        f"tables refer to each other in a circle, and none can be first: {circle}; e.g. {first.table.full_name}, foreign "
        f"key {quote(reference.name)} ({', '.join(reference.columns)})",
        hint=f"Leave one of them empty: --rows {first.table.name}=0, or let the foreign key's column be null.",
    )
