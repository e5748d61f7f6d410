"""The words of a race: a system, or an operation of the project's own; where they could be both, both are spelt out."""

from collections.abc import Callable
from pathlib import Path

import pytest

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
        (["sell"], ["'sell' is no system", "integrity race ghostpass sell"]),
    ],
)
def test_what_cannot_be_raced_is_told_with_what_can(chosen: Choose, words: list[str], said: list[str]) -> None:
    with pytest.raises(UsageError) as raised:
        chosen(*words)
    assert all(each in str(raised.value) for each in said), raised.value


def test_a_system_that_is_named_by_itself_is_never_an_operation(chosen: Choose) -> None:
    assert chosen("inbox", system_name="till").group == ("inbox", "inbox")
    assert chosen(system_name="inbox").race.system.name == "inbox"
