"""The table of requirements: every row once, in its order and state, and all that a row is shown by is there."""

import ast
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import click
import pytest

from integrity.errors import AuditError
from integrity.faults.schedule import read_window
from integrity.invariants.load import load_invariants
from integrity.load.profile import load_profile, profile_names
from integrity.monitor.limits import LIMITS
from integrity.project import find_project
from integrity.queries.load import load_queries
from integrity.registry import SYSTEMS, Registry
from tests.docs.test_documentation import ROOT
from tests.docs.test_help import names_known, parse, strings
from tests.unit.test_profiles_plans import PLANNED

PAGE = ROOT / "docs" / "requirements.md"
SECTIONS = {"A": 103, "B": 43, "C": 101, "D": 86, "E": 94, "F": 16, "G": 14, "H": 8}
"""How many rows each has. In A to E their numbers have two digits."""
STATES = ("done", "partly", "differently", "missing")
WORDS_MOST = 14
CASES = {f"{row}-{profile}" for row, _, profile, *_ in PLANNED}
"""Of the one test with cases that rows name."""


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement. shown: what shows it, or what differs, with the names of things in backticks."""

    id: str
    asked: str
    state: str
    shown: str

    @property
    def names(self) -> list[str]:
        return re.findall(r"`([^`]+)`", self.shown)

    @property
    def words(self) -> str:
        """What is said beside the names."""
        return re.sub(r"`[^`]+`|[\s,;.]", "", self.shown)


def cells(line: str) -> list[str]:
    return [each.strip() for each in line.strip().strip("|").split(" | ")]


@cache
def rows() -> tuple[Row, ...]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return tuple(Row(*cells(line)) for line in lines if re.match(r"\| [A-H]\d+ \|", line))


def ids() -> Iterator[str]:
    for letter, count in SECTIONS.items():
        yield from (f"{letter}{number:02}" if letter in "ABCDE" else f"{letter}{number}" for number in range(1, count + 1))


def test_every_row_is_there_once_in_its_order_and_in_one_of_four_states() -> None:
    assert sum(SECTIONS.values()) == 465
    assert [row.id for row in rows()] == list(ids())
    assert {row.id: row.state for row in rows() if row.state not in STATES} == {}
    assert [row.id for row in rows() if not row.asked or len(row.asked.split()) > WORDS_MOST] == []


def test_the_counts_at_the_top_are_those_of_the_rows() -> None:
    counted: Mapping[str, Counter[str]] = {
        letter: Counter(row.state for row in rows() if row.id[0] == letter) for letter in SECTIONS
    }
    lines = [f"| {letter} | {' | '.join(str(counts[state]) for state in STATES)} |" for letter, counts in counted.items()]
    total = sum(counted.values(), Counter[str]())
    lines.append(f"| all | {' | '.join(str(total[state]) for state in STATES)} |")
    text = PAGE.read_text(encoding="utf-8")
    found = [re.sub(r"^\| (\w+)[^|]*\|", r"| \1 |", line) for line in re.findall(r"^\| (?:[A-H] .*|all) \|.*$", text, re.M)]
    assert [re.sub(r" \| \d+ \|$", " |", line) for line in found] == lines
    assert [int(re.findall(r"\d+", line)[-1]) for line in found] == [*SECTIONS.values(), sum(SECTIONS.values())]


def test_what_is_done_names_what_shows_it_and_what_is_not_says_what_differs() -> None:
    assert [row.id for row in rows() if row.state == "done" and not row.names] == []
    assert [row.id for row in rows() if row.state != "done" and not row.words] == []


def test_all_that_shows_a_row_is_there() -> None:
    wrong = {f"{row.id}: {name}": why for row in rows() for name in row.names if (why := find_wrong(name))}
    assert wrong == {}


@pytest.mark.parametrize(
    "name",
    [
        "tests/unit/test_load_shape.py::test_what_nobody_wrote",
        "tests/unit/test_profiles_plans.py::test_a_profile_has_the_plans_figure[A32-nothing]",
        "tests/unit/test_nothing.py::test_a_sound_world_is_accepted",
        "docs/nothing.md",
        "ghostpass/what-nobody-wrote",
        "ghostpass steal",
        "ghostpass smoke: failure_share <= 0.7",
        "ghostpass pilot: sell p95 <= 801",
        "ghostpass nothing: sell p95 <= 800",
        "alert nothing",
        "POST /api/vote",
        "integrity steal",
        "integrity run smoke --system ghostpass --faster",
        "integrity run nothing --system ghostpass",
        "integrity run smoke --system ghostpass --fault nothing@0%-100%",
        "integrity suite nothing",
        "integrity race ghostpass sell steal",
        "integrity race ghostpass sell sell --bug nothing",
        "integrity queries ask inbox/nothing",
        "whatever else",
    ],
)
def test_what_is_not_there_shows_nothing(name: str) -> None:
    assert find_wrong(name)


@cache
def find_wrong(name: str) -> str:
    """Return what is wrong with something that shows a row; empty: it is there."""
    if "::" in name:
        path, _, test = name.partition("::")
        function, _, case = test.partition("[")
        return "" if function in found_in(path) and case.removesuffix("]") in {"", *CASES} else "no such test"
    if name == "integrity" or name.startswith("integrity "):
        return find_wrong_command(shlex.split(name)[1:])
    if (limit := re.fullmatch(r"(\w+) ([\w-]+): (?:([\w/:*-]+) )?(\w+) (<=|>=) ([\d.]+)", name)) is not None:
        known = limits_of(limit[1], limit[2])
        return "" if name in known else f"no such limit; of that profile: {known}"
    if name.startswith("alert "):
        return "" if name.removeprefix("alert ") in LIMITS else "no such alert"
    if (called := re.fullmatch(r"(\w+) (\w+)", name)) is not None and called[1] in SYSTEMS:
        system = SYSTEMS[called[1]]
        return "" if called[2] in {*system.operations, *system.services} else "no such operation or service"
    return "" if name in files() | requests() or is_path(name) else "no such thing"


def find_wrong_command(words: list[str]) -> str:
    try:
        contexts = list(parse(words))
        named = {key: value for each in contexts for key, value in each.params.items() if value}
        for fault in named.get("faults", ()):
            read_window(fault, duration_s=600)
        known = names_known(contexts[-1].command.name or "", named)
    except (click.ClickException, AuditError, KeyError) as error:
        return str(error) or type(error).__name__
    unknown = [key for key, value in named.items() if not set(strings(value)) <= set(known.get(key, strings(value)))]
    return f"no such {unknown}" if unknown else ""


@cache
def found_in(path: str) -> frozenset[str]:
    if not path.startswith("tests/") or not (ROOT / path).is_file():
        return frozenset()
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(each.name for each in functions if each.name.startswith("test_"))


@cache
def files() -> frozenset[str]:
    """Return the names of all invariants and queries."""
    registry, project = Registry(), find_project(ROOT)
    return frozenset({*load_invariants(project, find_operations=registry.operations_of), *load_queries(project)})


@cache
def requests() -> frozenset[str]:
    """Return what the servers of the systems answer, with method and path, and with their queries."""
    found = {"GET /health", "GET /metrics"}
    for system in SYSTEMS.values():
        assert system.endpoints is not None
        found |= {text for endpoint in system.endpoints.table for text in (str(endpoint), endpoint.name)}
        found |= {f"GET {page}" for page in system.endpoints.pages} | {str(each) for each in system.endpoints.streams}
        found |= {f"POST {system.endpoints.login.path}"} if system.endpoints.login else set()
    return frozenset(found)


@cache
def limits_of(system: str, profile: str) -> tuple[str, ...]:
    """Return each limit of a profile as the page writes it: what it is about, the statistic, and the bound."""
    if system not in SYSTEMS or profile not in profile_names(SYSTEMS[system], {}):
        return ()
    return tuple(
        f"{system} {profile}: {f'{each.about} '.removeprefix('all ')}{each.statistic} {side} {bound:g}"
        for each in load_profile(SYSTEMS[system], profile, {}).thresholds
        for side, bound in (("<=", each.most), (">=", each.least), ("<=", each.warning), ("<=", each.critical))
        if bound is not None
    )


def is_path(name: str) -> bool:
    return "/" in name and (ROOT / name).exists()
