"""A project is found from any folder in it, and what is wrong with its settings is said with file, place and reason."""

from pathlib import Path

import pytest

from integrity.errors import UsageError
from integrity.project import find_project, make_state_folder, reference_folder
from integrity.scenarios.reading import read_given
from integrity.seeds.schema.wishes import Wishes, read_wishes


def test_a_folder_without_settings_is_its_own_project(tmp_path: Path) -> None:
    project = find_project(tmp_path)
    assert project.folder == tmp_path
    assert project.database_url(None, {}) is None


def test_settings_are_found_from_a_folder_below(tmp_path: Path) -> None:
    (tmp_path / "integrity.toml").write_text('[database]\nurl = "sqlite:///venue.db"\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    project = find_project(below)
    assert project.folder == tmp_path
    assert project.database_url(None, {}) == f"sqlite:///{tmp_path}/venue.db"


def test_the_option_outranks_the_environment_and_that_the_file(tmp_path: Path) -> None:
    (tmp_path / "integrity.toml").write_text('[database]\nurl = "sqlite:///file.db"\n')
    project = find_project(tmp_path)
    environment = {"INTEGRITY_DATABASE_URL": "sqlite:///environment.db"}
    assert project.database_url("sqlite:///option.db", environment) == "sqlite:///option.db"
    assert project.database_url(None, environment) == "sqlite:///environment.db"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[database\n", "integrity.toml:1:10: cannot be read: Expected"),
        ("[databse]\nurl = 'x'\n", "databse: there is no such setting"),
        ("[database]\nurl = 7\n", "database.url: Input should be a valid string"),
        ("[systems]\nbank = 3\n", "systems.bank.path: Input should be a valid string"),
        ("[systems]\nbank = 'bank'\n", "systems.bank: a system is written as module:attribute, not 'bank'"),
        ("[systems]\nBank = 'bank:BANK'\n", "systems: 'Bank' is no name of a system"),
        ("[systems.bank]\npath = 'bank:BANK'\nfile = 'bank.py'\n", "systems.bank.file: there is no such setting"),
        (
            "[audit]\nfunctions = ['valid_iban']\n",
            "audit.functions.0: a function is written as schema.name, without parentheses, not 'valid_iban'",
        ),
    ],
)
def test_bad_settings_name_file_place_and_reason(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "integrity.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        find_project(tmp_path)
    assert str(file) in caught.value.message
    assert expected in caught.value.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "[databse]\nurl = 'x'\n",
            "Known sections: [app], [audit], [database], [monitor], [profiles], [project], [suites], [systems], [targets], "
            "[variables].",
        ),
        ("[database]\nulr = 'x'\n", "Known in [database]: url, test."),
        ("[audit]\nempty = 'fine'\n", "Known in [audit]: empty, functions."),
        (
            "[database]\ntest = 'a'\n\n[database]\nurl = 'x'\n",
            "[database] is there already, in line 1: write below that one, and once only.",
        ),
        (
            "[systems]\n[systems.bank]\npath = 'a:B'\n[systems.bank]\n",
            "[systems.bank] is there already, in line 2: write below that one, and once only.",
        ),
        ("[project]\nname = 'a'\nname = 'b'\n", "Its key is there already: write below that one, and once only."),
        ("[database\n", "integrity.toml is a TOML file in UTF-8."),
    ],
)
def test_bad_settings_are_told_what_may_stand_there(tmp_path: Path, text: str, hint: str) -> None:
    (tmp_path / "integrity.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        find_project(tmp_path)
    assert caught.value.hint == hint


def test_what_the_tool_makes_is_never_committed(tmp_path: Path) -> None:
    folder = make_state_folder(find_project(tmp_path))
    assert (folder / ".gitignore").read_text() == "*\n"


def test_a_state_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / ".integrity").write_text("in the way")
    with pytest.raises(UsageError, match="cannot be written"):
        make_state_folder(find_project(tmp_path))


@pytest.mark.parametrize("kind", ["invariants", "seeds", "queries"])
def test_the_reference_folders_are_found(kind: str) -> None:
    assert reference_folder(kind).is_dir()


def test_a_variable_of_the_environment_stands_for_its_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "integrity.toml").write_text('[variables]\nmost = "${MOST}"\nraw = "$${MOST}"\n')
    monkeypatch.setenv("MOST", "1000")
    assert find_project(tmp_path).settings.variables == {"most": "1000", "raw": "${MOST}"}


def test_a_password_from_the_environment_may_hold_what_a_url_could_not(tmp_path: Path) -> None:
    (tmp_path / "integrity.toml").write_text('[database]\nurl = "postgresql://app:${PASSWORD}@${PLACE}/shop"\n')
    url = find_project(tmp_path).database_url(None, {"PASSWORD": "p@ss/w:rd", "PLACE": "db.example:5432"})
    assert url == "postgresql://app:p%40ss%2Fw%3Ard@db.example:5432/shop"


def test_a_variable_that_is_missing_is_named_with_file_and_key(tmp_path: Path) -> None:
    file = tmp_path / "integrity.toml"
    file.write_text('[audit]\nfunctions = ["public.a", "${NO_SUCH_VARIABLE}"]\n')
    with pytest.raises(UsageError) as caught:
        find_project(tmp_path)
    assert caught.value.message == f"{file}: audit.functions.1: the environment has no variable NO_SUCH_VARIABLE"
    assert caught.value.hint == "export NO_SUCH_VARIABLE=..., or write its value there."


def test_a_variable_of_the_url_is_missed_only_where_the_url_is_used(tmp_path: Path) -> None:
    file = tmp_path / "integrity.toml"
    file.write_text('[database]\nurl = "postgresql://app:${NO_SUCH_VARIABLE}@localhost/shop"\n')
    project = find_project(tmp_path)
    assert project.database_url(None, {"INTEGRITY_DATABASE_URL": "sqlite:///a.db"}) == "sqlite:///a.db"
    with pytest.raises(UsageError) as caught:
        project.database_url(None, {})
    assert caught.value.message == f"{file}: database.url: the environment has no variable NO_SUCH_VARIABLE"


@pytest.mark.parametrize(
    "text",
    [
        "[audit]\nempty = '${SECRET_OF_MINE}'\n",
        "[audit]\nfunctions = ['${SECRET_OF_MINE}']\n",
        "[systems]\nbank = '${SECRET_OF_MINE}'\n",
    ],
)
def test_the_value_of_a_variable_is_shown_in_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "integrity.toml").write_text(text)
    monkeypatch.setenv("SECRET_OF_MINE", "hunter2-hunter2")
    with pytest.raises(UsageError) as caught:
        find_project(tmp_path)
    assert "hunter2" not in str(caught.value)
    assert "${SECRET_OF_MINE}" in caught.value.message


def test_every_file_of_settings_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """As some editors leave it: "Invalid statement" pointed at a text without a fault."""
    (tmp_path / "integrity.toml").write_text('[database]\nurl = "sqlite:///venue.db"\n', encoding="utf-8-sig")
    scenario, wishes = tmp_path / "pay.toml", tmp_path / "rows.toml"
    scenario.write_text('title = "pay"\n', encoding="utf-8-sig")
    wishes.write_text("", encoding="utf-8-sig")

    assert find_project(tmp_path).database_url(None, {}) == f"sqlite:///{tmp_path}/venue.db"
    assert read_given(scenario)[1] == {"title": "pay"}
    assert read_wishes(wishes)[0] == Wishes()
