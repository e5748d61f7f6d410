"""Imports point down only, and nothing imports in a circle: the house stays easy to live in."""

import ast
from collections.abc import Iterator

from tests.unit.sources import imports, sources

# Top to bottom. Names of one layer leave each other alone; a folder's own modules may import one another.
LAYERS = (
    {"cli", "api", "pytest_plugin", "locust"},
    {"pytest_pass"},
    {"jobs"},
    {"audit", "report"},
    {"registry"},
    {"health", "sequences", "scenarios"},
    {"load", "race", "serve"},
    {"measure"},
    {"runs", "clients"},
    {"monitor"},
    {"faults"},
    {"reference", "invariants", "queries"},
    {"seeds", "proxy", "drafts", "http"},
    {"systems"},
    {"endpoints"},
    {"database"},
    {"engines"},
    {"sql"},
    {"project"},
    {
        "operation",
        "domain",
        "history",
        "chain",
        "value",
        "verdict",
        "live_keys",
        "masking",
        "exit_codes",
        "events",
        "numbers",
        "suggestion",
        "wording",
        "typed",
        "environment",
        "errors",
        "declaring",
        "user_code",
        "toml_text",
    },
)
# The rooms of race/, top to bottom; what stands at its door (matrix, reproduce, study) may know them all.
RACE_ROOMS = ("", "reproduction", "export", "finding", "trial", "search", "judge", "gated", "rows", "play", "program")
FREE_OF_LAYERS = {"__init__", "__main__"}


def _rank(room: str) -> int:
    for rank, layer in enumerate(LAYERS):
        if room in layer:
            return rank
    raise AssertionError(f"integrity/{room} has no layer: give it one in this test, in STYLE's order")


def _modules() -> Iterator[tuple[str, str]]:
    for place in sources():
        yield f"integrity.{place.removesuffix('.py').replace('/', '.')}", place


def _edges() -> Iterator[tuple[str, str]]:
    """Yield (module, imported module) within the package; a name imported from a module counts as that module.

    The package's own door is left out: it stands above all, and imports a name when it is asked for it.
    """
    known = {name.removesuffix(".__init__") for name, _ in _modules()}
    for name, place in _modules():
        if name == "integrity.__init__":
            continue
        for module, imported in imports()[place]:
            target = f"{module}.{imported}"
            while target and target not in known:
                target = target.rpartition(".")[0]
            if target.startswith("integrity."):
                yield name.removesuffix(".__init__"), target


def test_imports_point_down_and_neighbours_leave_each_other_alone() -> None:
    upward = []
    for importer, imported in _edges():
        room, other = importer.split(".")[1], imported.split(".")[1]
        if room in FREE_OF_LAYERS or room == other:
            continue
        same_layer_of_words = _rank(room) == _rank(other) == len(LAYERS) - 1
        if _rank(other) <= _rank(room) and not same_layer_of_words:
            upward.append(f"{importer} imports {imported}")
    assert upward == []


def _race_room(module: str) -> int:
    parts = module.split(".")
    return RACE_ROOMS.index(parts[2] if len(parts) > 3 else "")


def test_the_rooms_of_race_import_down_only() -> None:
    within = [(a, b) for a, b in _edges() if a.startswith("integrity.race.") and b.startswith("integrity.race.")]
    upward = [
        f"{importer} imports {imported}" for importer, imported in within if _race_room(imported) < _race_room(importer)
    ]
    assert upward == []


def test_no_module_imports_itself_through_others() -> None:
    graph: dict[str, set[str]] = {}
    for importer, imported in _edges():
        graph.setdefault(importer, set()).add(imported)
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"cycle: {' -> '.join((*trail, module))}"
        if module in done:
            return
        for imported in graph.get(module, ()):
            if imported != module:
                visit(imported, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def test_package_files_that_only_mark_a_folder_hold_no_code() -> None:
    for name, place in _modules():
        if name.endswith(".__init__"):
            body = ast.parse(sources()[place]).body
            allowed: tuple[type[ast.stmt], ...] = (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)
            if name == "integrity.__init__":  # what a module needs to re-export lazily
                allowed += (ast.If, ast.FunctionDef)
            assert all(isinstance(node, allowed) for node in body), f"{place} re-exports public names and does nothing else"
