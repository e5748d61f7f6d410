"""Mistakes in a stranger's project: each is told in one paragraph with its file, name and reason, and none is silent."""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from integrity.invariants.effects.making import make_invariants
from integrity.project import reference_folder
from integrity.registry import SYSTEMS

PROJECT = Path(__file__).parents[1] / "own_system"
EFFECTS = Path("invariants/bank/effects.toml")
SETTINGS = Path("integrity.toml")

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of SQLite where a test does not ask for PostgreSQL."""
    if getattr(request, "param", "sqlite") == "postgresql":
        target: Target = request.getfixturevalue("database")
        return target.text
    return f"sqlite:///{tmp_path / 'bank.db'}"


on_both = pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def integrity(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run a command in a copy of the project; gives its code and all that it printed."""
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", url)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(
        sys, "dont_write_bytecode", True
    )  # the module is changed within the second that a cache tells apart

    def run(*words: str) -> tuple[int, str]:
        sys.modules.pop("bank", None)
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        captured = capsys.readouterr()
        assert "error of integrity's own" not in captured.err
        assert isinstance(ended.value.code, int)
        return ended.value.code, f"{captured.out}{captured.err}"

    yield run
    sys.modules.pop("bank", None)


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def line_of(part: str) -> int:
    """Return the number of the first line of the system's module that has this in it."""
    lines = Path("bank.py").read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if part in line)


@pytest.mark.parametrize(
    ("old", "new", "invariant", "told"),
    [
        (
            '["deposit", "withdraw"]',
            '["depost", "withdraw"]',
            "bank/acknowledged-call-is-stored",
            f"{EFFECTS}:7: stored of the effect in 'movements': system bank has no operation 'depost'\n"
            "    hint: Perhaps you meant deposit. Its operations are: deposit, withdraw.",
        ),
        (
            'subject = "account_id"',
            'system = "bnak"\nsubject = "account_id"',
            "bank/call-at-most-once",
            f"{EFFECTS}:1: system: unknown system 'bnak'\n    hint: Perhaps you meant bank. The systems are: ",
        ),
    ],
    ids=["operation", "system"],
)
def test_a_name_in_effects_that_nobody_has_makes_its_invariant_unknown(
    integrity: Command, old: str, new: str, invariant: str, told: str
) -> None:
    """A query about the calls of an operation that there is not finds nothing wrong, whatever the data."""
    integrity("seed", "--size", "accounts=2")
    change(EFFECTS, old, new)
    code, judged = integrity("validate", "--select", invariant)
    assert code == 3
    assert told in judged
    assert told.partition("\n")[0] in integrity("explain", invariant)[1]


def test_every_operation_that_our_own_effects_name_is_there() -> None:
    for path in (reference_folder("invariants")).rglob(EFFECTS.name):
        for make in make_invariants(path, folder=path.parent.name, find_operations=SYSTEMS.operations_of).values():
            assert make().fault == ""


DECLARED = {
    "marks=(Mark('movements', 'id'))": ("marks is of type Mark, and must be a tuple of Mark", True),
    "marks=(Mark('movments', 'id'),)": ("marks: there is no table 'movments'", False),
    "marks=(Mark('movements', 'operation'),)": (
        "marks: table movements has no column 'operation'",
        False,
    ),
    "arguments={**ARGUMENTS, 'seat': IntegerIn(1, 2)}": ("takes no 'seat', which it is called with", True),
}
"""What is written wrongly, and whether that is told as the module is imported: else where a database is."""


def test_what_a_system_declares_wrongly_is_told_with_its_place_before_a_race_or_a_run(integrity: Command) -> None:
    integrity("seed", "--size", "accounts=2")
    module = Path("bank.py").read_text(encoding="utf-8").replace("    RESTARTED,", "    RESTARTED,\n    Mark,", 1)
    made = '"deposit": Operation("deposit", deposit, ARGUMENTS),'
    for wrong, (told, is_at_import) in DECLARED.items():
        arguments = "" if wrong.startswith("arguments") else "arguments=ARGUMENTS, "
        changed = module.replace(made, f'"deposit": Operation("deposit", deposit, {arguments}{wrong}),')
        Path("bank.py").write_text(changed, encoding="utf-8")
        place = changed.splitlines().index(next(each for each in changed.splitlines() if wrong in each)) + 1
        for command in (("race", "bank", "deposit"), ("run", "smoke", "--duration", "1s")):
            code, said = integrity(*command)
            assert (code, told in said) == (2, True), said
            assert f"bank.py:{place}: operation 'deposit'" in said
            assert is_at_import or said.splitlines()[-3:] == _pointed(place, changed, told.split("'")[1])


def _pointed(place: int, module: str, name: str) -> list[str]:
    """Return the line with the name, a caret below it, and what could be meant."""
    line = module.splitlines()[place - 1]
    meant = {"movments": "movements", "operation": "operation_id"}[name]
    at = line.index(f"'{name}'") + 1
    return [f"  {place} | {line}", " " * (len(f"  {place} | ") + at) + "^", f"  hint: Perhaps you meant {meant}."]


def test_a_pattern_of_a_system_that_fits_no_invariant_is_refused_by_its_place(integrity: Command) -> None:
    change(SETTINGS, "money/*", "money/no-balance-belw-zero")
    for command in (("validate",), ("list",), ("race", "bank")):
        code, told = integrity(*command)
        assert code == 2
        assert told.startswith(
            f"integrity: {SETTINGS.absolute()}: systems.bank.invariants: no invariant fits 'money/no-balance-belw-zero'\n"
            "  hint: Perhaps you meant money/no-balance-below-zero"
        )


def test_a_system_that_cannot_be_imported_is_said_and_unknown_where_it_was_asked_for(integrity: Command) -> None:
    integrity("seed", "--size", "accounts=2")
    EFFECTS.unlink()
    Path("invariants/mine.sql").write_text("-- title: mine\nselect id from accounts where false")
    change(SETTINGS, "bank:BANK", "bnk:BANK")
    reason = f"{SETTINGS.absolute()}: systems.bank: bnk:BANK: there is no module bnk in {Path.cwd()}, and none is installed"
    code, judged = integrity("validate")
    assert (code, "All 3 invariants hold." in judged) == (0, True)
    assert f"{reason}; its invariants are judged without it\n  hint: It is written as" in judged
    code, judged = integrity("validate", "--system", "bank")
    assert (code, "3 of 3 invariants unknown" in judged, f"  {reason}\n    hint: " in judged) == (3, True, True)
    assert integrity("validate", "--select", "mine")[1].count("bnk") == 0


def test_a_folder_that_is_called_as_a_file_is_told_as_one_that_cannot_be_read(integrity: Command) -> None:
    integrity("seed", "--size", "accounts=2")
    for folder in ("invariants/money/y.sql", "queries/bank/z.SQL"):
        Path(folder).mkdir()
    assert re.search(
        r"unknown  money/y\n  invariants/money/y.sql: cannot be read: it is a folder", integrity("validate")[1]
    )
    assert "broken: queries/bank/z.SQL: cannot be read: it is a folder" in integrity("queries", "list")[1]


STAGE = ("    rows: list[StagedRow] = []", '    {}["x"]', "in stage: KeyError: 'x'")
SEEDER = ("    opened = [", "    1 / 0", "in generate: ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (STAGE, ("race", "bank", "deposit")),
        pytest.param(STAGE, ("race", "bank", "deposit", "--jobs", "2"), marks=pytest.mark.exhaustive),
        (SEEDER, ("seed", "--size", "accounts=2")),
    ],
    ids=["stage", "stage in another process", "seeder"],
)
def test_an_exception_in_the_code_of_a_system_is_told_by_its_place_there(
    integrity: Command, mistake: tuple[str, str, str], words: tuple[str, ...]
) -> None:
    old, new, place = mistake
    change(Path("bank.py"), old, f"{new}\n{old}")
    code, told = integrity(*words)
    assert code == 2
    paragraph = told.splitlines()[-3:]
    assert paragraph[0] == f"integrity: {words[0]} could not go on: an exception in bank.py:{line_of(new)}, {place}"
    kept = Path(paragraph[1].removeprefix("  the traceback is in ")).read_text()
    assert (new.strip() in kept, place.partition(": ")[2] in kept.splitlines()) == (True, True)
    assert paragraph[2] == "  hint: It is code of yours that integrity called: mend it there, then give the command again."


ROW = 'StagedRow(name, "accounts", {"balance_minor": 1000}'
BREAKS = "violates bank/balance-equals-movements before any call is made: account_id="


@on_both
@pytest.mark.parametrize(
    ("old", "new", "told", "hint"),
    [
        (
            ROW,
            ROW.replace('"accounts"', '"acounts"'),
            "row 'first opening': account_id refers to row 'first', and",
            "accounts",
        ),
        (
            ROW,
            ROW.replace("_minor", "_minr"),
            "row 'first' of accounts was refused: ",
            "Its rows are: 'first' of ",
        ),
        (ROW, ROW.replace("1000", "-1"), " refused: ", "Its rows are: 'first' of "),
        (ROW, ROW.replace("1000", "999"), BREAKS, "Let every invariant hold of its rows"),
        (
            "    return Stage(rows",
            "    return []\n    return Stage(rows",
            "returned '[]', which is no Stage",
            "End it with: return Stage(",
        ),
    ],
    ids=["table", "column", "constraint", "invariant", "no stage"],
)
def test_what_is_wrong_with_a_stage_is_told_of_it_and_of_no_operation(
    integrity: Command, old: str, new: str, told: str, hint: str
) -> None:
    change(Path("bank.py"), old, new)
    code, said = integrity("race", "bank", "deposit")
    paragraph, _, step = said[said.index("integrity: ") :].partition("\n  hint: ")
    place = f"integrity: bank.py:{line_of('def stage(')}: the stage"
    assert (code, paragraph.startswith(place), told in paragraph) == (2, True, True), said
    assert hint in step
    assert "insert into" not in said


@on_both
def test_a_pool_whose_query_is_refused_is_named_with_what_it_asks(integrity: Command) -> None:
    integrity("seed", "--size", "accounts=2")
    change(Path("bank.py"), "select id from accounts order by id", "select id from acounts order by id")
    code, said = integrity("run", "smoke", "--system", "bank", "--duration", "1s")
    assert (code, ": pool 'accounts' of system bank: " in said) == (2, True)
    assert said.endswith("  hint: It asks: select id from acounts order by id\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "smoke", "--system", "bank"), "which system bank does not declare\n  hint: Perhaps you meant accounts."),
        (("race", "bank", "deposit"), "and the stage has no key of it\n  hint: Perhaps you meant accounts."),
    ],
    ids=["run", "race"],
)
def test_a_pool_that_nobody_declares_is_named_with_who_draws_from_it(
    integrity: Command, words: tuple[str, ...], told: str
) -> None:
    """It is no matter of too few rows: seeding again would not help."""
    integrity("seed", "--size", "accounts=2")
    change(Path("bank.py"), 'KeyOf("accounts")', 'KeyOf("acounts")')
    code, said = integrity(*words)
    assert (code, "draws account_id from the pool 'acounts', " in said, told in said) == (2, True, True), said
    assert "--replace" not in said


@on_both
def test_an_operation_whose_sql_is_refused_is_named_with_its_place(integrity: Command) -> None:
    change(Path("bank.py"), "update accounts set balance_minor = :balance", "update acounts set balance_minor = :balance")
    code, said = integrity("race", "bank", "withdraw", "--preemptions", "0")
    assert code == 3
    line = next(
        number
        for number, line in enumerate(Path("bank.py").read_text(encoding="utf-8").splitlines(), start=1)
        if "yield _set_balance" in line
    )
    assert len(re.findall(rf"withdraw \(bank.py:{line}\) fails however it is called: \w{{5}} [^,]*acounts", said)) == 1, (
        said
    )


@on_both
def test_an_invariant_that_the_database_refuses_is_left_out_of_a_race_by_name(integrity: Command) -> None:
    file = Path("invariants/money/no-balance-below-zero.sql")
    change(file, "accounts.balance_minor < 0", "no_such_function(accounts.id)")
    code, said = integrity("race", "bank", "deposit", "--preemptions", "0")
    assert (code, "not asked: money/no-balance-below-zero: the database refuses it: " in said) == (0, True), said
