"""A test of a race is replaced as long as nobody has edited it, or the file beside it; else nothing is lost."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from integrity.jobs.export_requests import check_unedited_of_requests
from integrity.jobs.findings import NotWritten, Wanted, export
from integrity.race.export.sealed import InTheWay, write_sealed

if TYPE_CHECKING:
    from integrity.race.study import Study

CODE = "def test_sell():\n    ...\n"


class Writing:
    """Stands for a study whose race can be told."""

    def export(self, path: Path, *, replay_command: str) -> Path:
        beside = path.with_suffix(".sql")
        write_sealed(path, CODE, beside, f"-- {replay_command}\n")
        return beside


@pytest.mark.parametrize(
    ("edited", "edit"),
    [
        ("test_sell.py", lambda text: text.replace("...", "sell()")),
        ("test_sell.py", lambda text: text[: text.rindex("# sealed")]),
        ("test_sell.py", lambda text: f"{text}# mine\n"),
        ("test_sell.py", lambda _: ""),
        ("test_sell.sql", lambda text: f"{text}-- mine\n"),
    ],
)
def test_what_somebody_edited_is_refused_before_the_search_and_left_behind_it(
    tmp_path: Path, edited: str, edit: Callable[[str], str]
) -> None:
    test, file = tmp_path / "sell" / "test_sell.py", tmp_path / "sell" / edited
    study = cast("Study", Writing())
    for command in ("one", "two"):  # the second finds what the first wrote, and replaces it
        Wanted(None, test)
        assert not isinstance(export(study, test, replay_command=command), NotWritten)
        assert test.with_suffix(".sql").read_text() == f"-- {command}\n"
        assert test.read_text().startswith(CODE)
    file.write_text(edit(file.read_text()))
    kept = {each: each.read_bytes() for each in file.parent.iterdir()}
    for check in (lambda: Wanted(None, test), lambda: check_unedited_of_requests(test)):
        with pytest.raises(InTheWay) as refused:
            check()
        assert refused.value.message.startswith(f"{file}: was edited since it was written")
        assert str(refused.value.hint).startswith("Name another file: --pytest; or delete ")
        assert str(file) in str(refused.value.hint)
    event = export(study, test, replay_command="three")  # edited while the search went on: what is found is told
    assert isinstance(event, NotWritten)
    assert event.text.startswith(f"{test} was not written: ")
    assert {each: each.read_bytes() for each in file.parent.iterdir()} == kept


def test_neither_a_second_test_of_requests_nor_what_would_stand_beside_one_is_lost(tmp_path: Path) -> None:
    test = tmp_path / "test_pay.py"
    (tmp_path / "test_pay_statements.py").write_text(CODE)
    Wanted(None, test)
    with pytest.raises(InTheWay, match="test_pay_statements"):
        check_unedited_of_requests(test)
    (tmp_path / "test_pay.sql").write_text("-- mine\n")
    event = export(cast("Study", Writing()), test, replay_command="one")
    assert isinstance(event, NotWritten)
    assert ((tmp_path / "test_pay.sql").read_text(), test.exists()) == ("-- mine\n", False)
