"""A file of SQLite that is not there is said to be that by whatever wants to read it, with how it is made."""

from pathlib import Path

import pytest

from integrity.cli.main import main


def test_every_command_that_reads_says_that_there_is_no_such_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    told = {}
    for words in (
        ["run", "smoke", "--system", "ghostpass"],
        ["suite", "ci"],
        ["queries", "run"],
        ["validate"],
        ["health"],
        ["snapshot", "before"],
    ):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--database", "sqlite:///nothere.db"])
        said = " ".join("".join(capsys.readouterr()).split())
        told[words[0]] = (ended.value.code, f"there is no file {tmp_path}/nothere.db" in said, "integrity seed" in said)
    assert told == {**dict.fromkeys(told, (2, True, True)), "health": (3, True, True)}
    assert not list(tmp_path.glob("*.db*"))
