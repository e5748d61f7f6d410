"""The words of a race: a system, or an operation of the project's own; where they could be both, both are spelt out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from integrity.cli.main import main
from integrity.errors import UsageError
from integrity.jobs.race import ChosenRace, choose
from integrity.project import find_project

Choose = Callable[..., ChosenRace]
FILES = {
    "integrity.toml": '[project]\nname = "till"\n',
    "operations/withdraw.sql": "select 1 from wallets;\n",
    "operations/refund.sql": "select 1 from sales;\n",
    "operations/broken.sql": "begin;\nselect 1;\n",
    "operations/inbox.sql": "select 1 from letters;\n",
    "operations/shop/refund.sql": "select 1 from orders;\n",
    "invariants/wallets.sql": "-- title: wallets\nselect id from wallets where id < 0\n",
    "invariants/orders.sql": "-- title: orders\nselect id from orders where id < 0\n",
}


@pytest.fixture
def chosen(tmp_path: Path) -> Choose:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return lambda *words, **options: choose(find_project(tmp_path), words, **options)


def test_the_first_word_may_be_an_operation_of_the_projects_own(chosen: Choose) -> None:
    race = chosen("withdraw", "withdraw")
    assert (race.race.system.name, race.group) == ("till", ("withdraw", "withdraw"))
    assert [file.name for file in race.race.files] == ["wallets"]  # of what it touches


def test_a_system_is_named_before_its_operations(chosen: Choose) -> None:
    race = chosen("shop", "refund")
    assert (race.race.system.name, race.group) == ("shop", ("refund", "refund"))
    assert [file.name for file in race.race.files] == ["orders"]
    assert chosen("ghostpass", "sell").race.system.name == "ghostpass"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["inbox"], ["'inbox' is a system, and an operation of till", "--system inbox", "--system till inbox"]),
        (["refund"], ["operation of till and of shop", "--system till refund or integrity race --system shop refund"]),
        (["broken"], ["operations/broken.sql:1: the transaction is never ended", "  1 | begin;\n      ^"]),
        (["withdraw", "refunt"], ["system till has no operation 'refunt'", "Perhaps you meant refund."]),
        (["sell"], ["unknown system or operation 'sell'", "The operations are: inbox, "]),
        (["nope"], ["unknown system or operation 'nope'", "broken.sql:1: the transaction is never ended."]),
        (
            ["brokn"],
            ["Perhaps you meant broken.", "The operations are: inbox, refund, withdraw, refund. broken is left out"],
        ),
    ],
)
def test_what_cannot_be_raced_is_told_with_what_can(chosen: Choose, words: list[str], said: list[str]) -> None:
    with pytest.raises(UsageError) as raised:
        chosen(*words)
    assert all(each in str(raised.value) for each in said), raised.value


def test_a_system_that_is_named_by_itself_is_never_an_operation(chosen: Choose) -> None:
    assert chosen("inbox", system_name="till").group == ("inbox", "inbox")
    assert chosen(system_name="inbox").race.system.name == "inbox"


def test_a_folder_of_operations_that_is_called_as_the_project_is_told_with_what_to_rename(
    chosen: Choose, tmp_path: Path
) -> None:
    """Its operations are those of a second system of that name: neither can be used, and no word of theirs is unknown."""
    (tmp_path / "operations/till").mkdir()
    for name in ("pay", "sell"):
        (tmp_path / f"operations/till/{name}.sql").write_text("select 1 from wallets;\n")
    for word in ("pay", "withdraw", "sell"):
        with pytest.raises(UsageError) as raised:
            chosen(word, word)
        assert "till cannot be used: " in str(raised.value)
        assert "a second system has the name till: operations/till" in str(raised.value)
        assert "Rename the folder" in str(raised.value.hint)
        assert "package" not in str(raised.value.hint)
        assert "ghostpass" not in str(raised.value)  # which has a `sell`, too
    assert chosen("shop", "refund").group == ("refund", "refund")


def test_what_is_raced_where_nothing_is_named_is_the_projects_own_and_never_what_ships_without_a_word(
    tmp_path: Path,
) -> None:
    """A project without operations raced ghostpass for a minute and a half, and said nothing of it."""
    (told,) = choose(find_project(tmp_path), ()).told  # of no project
    assert told.startswith("racing ghostpass, which ships, as nothing was named: ")
    assert "integrity race ghostpass request_funding request_funding" in told
    with pytest.raises(UsageError, match="'sell' is no system"):
        choose(find_project(tmp_path), ("sell", "sell"))
    (tmp_path / "integrity.toml").write_text("")
    project = find_project(tmp_path)
    with pytest.raises(UsageError) as raised:
        choose(project, ("sell", "sell"))
    assert "ghostpass sell" not in str(raised.value)
    with pytest.raises(UsageError) as raised:
        choose(project, ())
    assert f"{tmp_path} has no operations to race" in str(raised.value)
    assert "integrity new operation NAME" in str(raised.value.hint)
    assert choose(project, ("ghostpass",)).told == choose(project, (), system_name="ghostpass").told == []
    (tmp_path / "operations").mkdir()
    (tmp_path / "operations/pay.sql").write_text("select 1 from wallets;\n")
    assert (choose(project, ()).race.system.name, choose(project, ()).told) == (project.name, [])


@pytest.mark.parametrize(
    "held", ["invariants/a.sql", "queries/a.sql", "scenarios/a.toml", "operations/Sell.SQL", "operations/sell.sql/x"]
)
def test_a_folder_with_anything_of_somebodys_own_is_their_project(held: str, tmp_path: Path) -> None:
    """What ships is raced there only by its name, and what in operations/ is no operation is named."""
    (tmp_path / held).parent.mkdir(parents=True)
    (tmp_path / held).write_text("select 1 as a where false\n")
    for words in ((), ("sell", "sell")):
        with pytest.raises(UsageError) as raised:
            choose(find_project(tmp_path), words)
        assert "ghostpass sell" not in str(raised.value)
        named = "/".join(held.split("/")[:2])
        assert (f"{named} is no operation's file" in str(raised.value.hint)) == held.startswith("operations")
    assert choose(find_project(tmp_path), ("ghostpass", "sell")).group == ("sell", "sell")


def test_one_broken_file_alone_is_told_as_one_beside_others_is(chosen: Choose, tmp_path: Path) -> None:
    told = []
    for _ in range(2):
        with pytest.raises(UsageError) as refused:
            chosen("broken", "broken")
        told.append(str(refused.value))
        for path in (*tmp_path.glob("operations/*.sql"), *tmp_path.glob("operations/shop/*")):
            if path.stem != "broken":
                path.unlink()
    assert told[0] == told[1]
    assert "broken.sql:" in told[0].splitlines()[0]


def test_a_name_that_two_systems_have_is_said_where_invariants_are_listed(
    chosen: Choose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "operations" / "till").mkdir()
    (tmp_path / "operations" / "till" / "refund.sql").write_text("select 1 from sales;\n")
    with pytest.raises(SystemExit) as ended:
        main(["list", "--project", str(tmp_path)])
    told = " ".join(capsys.readouterr().err.split())
    assert (ended.value.code, told.count("a second system has the name till"), "Rename the folder" in told) == (0, 1, True)
    with pytest.raises(UsageError) as refused:
        chosen("nothing")
    assert str(refused.value).count("Rename the folder") == 1
