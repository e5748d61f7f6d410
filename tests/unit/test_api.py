"""Systems that a program passes as objects are known beside those that are declared."""

from collections.abc import Iterator
from dataclasses import replace
from os import getpid
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from integrity import Run, System
from integrity.engines.target import Target
from integrity.errors import UsageError
from integrity.events import Event
from integrity.load.request import RunRequest
from integrity.monitor.processes import Process
from integrity.monitor.watched import WatchedApplication
from integrity.project import Project, Settings, SystemSection
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.registry import Registry


def registry_with(system: System, settings: Settings | None = None) -> Registry:
    return Registry(Project(Path("/nowhere"), settings or Settings(), {system.name: system}))


def test_a_system_that_is_passed_is_found_by_its_name_and_is_the_one_to_work_on() -> None:
    bank = System("bank", "a bank", MetaData(), {})
    registry = registry_with(bank)
    assert registry["bank"] is bank
    assert registry.default is bank
    assert registry.own == ["bank"]


def test_it_stands_in_for_the_declared_one_of_its_name_and_keeps_its_invariants() -> None:
    bank = System("bank", "a bank", MetaData(), {})
    declared = {"shop": SystemSection("shop:SHOP"), "bank": SystemSection("not_there:BANK", ("money/*",))}
    registry = registry_with(bank, Settings(systems=declared))
    assert registry["bank"] is bank
    assert registry.own == ["bank", "shop"]
    assert registry._patterns["bank"] == ("money/*",)


def test_a_reference_system_may_be_passed_and_no_other_under_its_name() -> None:
    assert registry_with(GHOSTPASS).default == GHOSTPASS
    with pytest.raises(UsageError, match="passed with the name of a reference system, ghostpass"):
        registry_with(replace(GHOSTPASS, title="another"))


def test_a_name_that_cannot_be_a_schemas_is_refused() -> None:
    with pytest.raises(UsageError, match="'My Bank' is no name of a system") as refused:
        registry_with(System("My Bank", "a bank", MetaData(), {}))
    assert "lowercase" in (refused.value.hint or "")


def test_a_run_of_a_program_watches_an_application_as_the_command_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []

    def play(request: RunRequest) -> Iterator[Event]:
        given.append(request.application)
        yield from ()

    monkeypatch.setattr("integrity.jobs.run.play", play)
    log, target = tmp_path / "app.log", Target.parse(f"sqlite:///{tmp_path}/bank.db")
    log.touch()
    run = Run(system=GHOSTPASS, target=target, profile="smoke", folder=tmp_path, watches=[f"app={getpid()}"], logs=[log])
    run()
    assert given == [WatchedApplication([Process("app", getpid())], (log,))]
    with pytest.raises(UsageError, match="there is no such file"):
        replace(run, logs=[tmp_path / "none.log"])()
    assert len(given) == 1
