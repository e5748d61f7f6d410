"""Which format of an audit's report goes where: each asked for has one place, and each place one format."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from integrity.errors import UsageError
from integrity.jobs.monitor import choose
from integrity.jobs.proxy import _open as make_recording
from integrity.monitor.watched import NOTHING_WATCHED
from integrity.report.audit_report import Reported
from integrity.report.formats import assign, make_folders, publisher
from tests.unit.test_report_audit import MIXED


@pytest.mark.parametrize(
    ("formats", "outputs", "expected"),
    [
        ("", "", "text"),
        ("junit", "", "junit"),
        ("", "a.xml", "junit:a.xml"),
        ("", "a.log", "text:a.log"),
        ("", "a.JSON b.md c.txt", "json:a.JSON markdown:b.md text:c.txt"),
        ("junit", "a.log", "junit:a.log"),
        ("junit", "a.txt", "junit:a.txt"),
        ("text junit", "a.xml", "junit:a.xml text"),
        ("junit text", "a.xml", "junit:a.xml text"),
        ("text junit", "a.log", "text:a.log junit"),
        ("markdown junit", "a.xml b.md", "junit:a.xml markdown:b.md"),
        ("junit junit", "a.xml b.xml", "junit:a.xml junit:b.xml"),
        ("text junit markdown", "a.xml b.log", "junit:a.xml text:b.log markdown"),
        ("", "new/", "text:new/integrity.txt json:new/integrity.json junit:new/integrity.xml markdown:new/integrity.md"),
        ("text junit", "there", "text:there/integrity.txt junit:there/integrity.xml"),
        ("json junit", "a.xml there", "junit:a.xml json:there/integrity.json"),
    ],
)
def test_each_format_has_its_place(
    formats: str, outputs: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    places = assign(formats.split(), outputs.split())
    assert " ".join(f"{each.format_name}:{each.path}" if each.path else each.format_name for each in places) == expected


@pytest.mark.parametrize(
    ("formats", "outputs", "said"),
    [
        ("text junit", "", "the screen has room for one of text, junit"),
        ("text junit json", "a.xml", "the screen has room for one of text, json"),
        ("junit", "a.xml b.xml", "2 files for 1 format: --output b.xml"),
        ("", "a/ b/", "two of them are folders"),
        ("", "a.xml ./a.xml", "two of them are the same"),
        ("junit", "a.xml a/", "the files take all formats"),
    ],
)
def test_what_has_no_place_or_no_format_is_refused_with_what_to_give(formats: str, outputs: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        assign(formats.split(), outputs.split())
    assert refused.value.hint
    with pytest.raises(UsageError, match="--output has no value"):
        assign((), ("",))


def test_every_report_is_written_also_beside_one_that_cannot_be_and_folders_are_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    places = assign(("junit", "markdown", "text"), ("/dev/full", "deep/er/a.md"))
    make_folders(places)
    (tmp_path / "deep/er/a.md").write_text("earlier " * 10_000)
    with pytest.raises(UsageError, match="/dev/full: cannot be written: No space"):
        publisher(places)(Reported(MIXED))
    assert (tmp_path / "deep/er/a.md").read_text().startswith("# Data integrity\n")
    assert "earlier" not in (tmp_path / "deep/er/a.md").read_text()
    assert capsys.readouterr().out.startswith("verdict ")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file/a\.md: cannot be written: a folder above it is a file"):
        make_folders(assign((), ("file/a.md",)))


def test_folders_are_made_for_samples_and_recordings_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with ExitStack() as stack:
        for name, make in (
            ("--output", lambda file: choose(NOTHING_WATCHED, file)),
            ("--record", partial(make_recording, stack)),
        ):
            made = tmp_path / name.strip("-") / "deep" / "samples.jsonl"
            make(made)
            assert made.parent.is_dir()
            with pytest.raises(UsageError, match="cannot be written: a folder above it is a file") as refused:
                make(tmp_path / "file" / "samples.jsonl")
            assert refused.value.hint == f"Name another file: {name}"
