"""Faults are injected in their window, healed at its end or the run's, and written down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import orjson
import pytest

from integrity.engines.target import Target
from integrity.errors import EmbeddedError
from integrity.faults.conduct import EVERY, Conduct
from integrity.faults.fault import Fault, Given
from integrity.faults.player import FAULTS_FILE, Player
from integrity.faults.scene import Scene
from integrity.faults.schedule import Window
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.systems.service import ServiceSettings


def make_fault(name: str, log: list[str], *, heals_in_s: float = 0.0, error: Exception | None = None) -> Fault:
    @asynccontextmanager
    async def inject(scene: Scene, given: Given) -> AsyncIterator[None]:
        del given
        log.append(f"{name} injected")
        if error is not None:
            raise error
        scene.counts["things done"] += 1
        try:
            yield
        finally:
            await asyncio.sleep(heals_in_s)
            log.append(f"{name} healed")

    return Fault(name=name, title="", question="?", invariants=(), inject=inject)


def make_player(
    windows: list[tuple[Fault, float, float]], folder: Path, *, may_overlap: bool = False, failures: list[str] | None = None
) -> Player:
    scene = Scene(
        target=Target.parse("sqlite:///none.db"),
        system=GHOSTPASS,
        conduct=Conduct({}, GHOSTPASS.services),
        random=Random(1),
        keys={},
    )
    return Player(
        [Window(fault.name, fault, {}, from_s, to_s) for fault, from_s, to_s in windows],
        scene,
        seed=1,
        file=folder / FAULTS_FILE,
        now_us=lambda: round(asyncio.get_running_loop().time() * 1_000_000),
        may_overlap=may_overlap,
        failed=lambda: failures.append("failed") if failures is not None else None,
    )


class QuickLoop(asyncio.SelectorEventLoop):
    """Its clock jumps to whatever is due next: seconds pass at once, and exactly."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]  # asyncio's own, in every version of it
            self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def play(player: Player, seconds: float) -> None:
    """Let a run of that length go by."""

    async def go() -> None:
        player.start()
        await asyncio.sleep(seconds)
        await player.finish()

    with asyncio.Runner(loop_factory=QuickLoop) as runner:
        runner.run(go())


def test_each_is_injected_and_healed_in_its_turn_and_written_down(tmp_path: Path) -> None:
    log: list[str] = []
    player = make_player([(make_fault("a", log), 0.0, 0.02), (make_fault("b", log), 0.02, 0.04)], tmp_path)
    play(player, 0.2)
    assert log == ["a injected", "a healed", "b injected", "b healed"]
    lines = [orjson.loads(line) for line in (tmp_path / FAULTS_FILE).read_bytes().splitlines()]
    assert [(line["event"], line["fault"]) for line in lines] == [
        ("injected", "a"),
        ("healed", "a"),
        ("injected", "b"),
        ("healed", "b"),
    ]
    assert lines[1]["counts"] == {"things done": 1}
    first, second = player.played
    assert first.to_us - first.from_us == 20_000
    assert first.healed_us <= second.from_us
    assert not player.is_active


def test_what_is_in_force_at_the_end_of_the_run_is_healed_and_what_was_to_come_is_not_injected(tmp_path: Path) -> None:
    log: list[str] = []
    player = make_player([(make_fault("a", log), 0.0, 60.0), (make_fault("b", log), 60.0, 61.0)], tmp_path)
    play(player, 0.01)
    assert log == ["a injected", "a healed"]
    assert [played.window.fault.name for played in player.played] == ["a"]


def test_a_fault_that_takes_long_to_heal_holds_the_next_up_and_one_whose_time_is_over_is_left_out(tmp_path: Path) -> None:
    log: list[str] = []
    slow = make_fault("slow", log, heals_in_s=0.1)
    player = make_player(
        [(slow, 0.0, 0.01), (make_fault("b", log), 0.01, 0.02), (make_fault("c", log), 0.02, 60.0)], tmp_path
    )
    play(player, 0.3)
    assert log == ["slow injected", "slow healed", "c injected", "c healed"]


def test_faults_that_may_overlap_do(tmp_path: Path) -> None:
    log: list[str] = []
    player = make_player([(make_fault("a", log), 0.0, 0.2), (make_fault("b", log), 0.01, 0.02)], tmp_path, may_overlap=True)
    play(player, 0.4)
    assert log == ["a injected", "b injected", "b healed", "a healed"]


def test_a_fault_that_cannot_be_injected_ends_the_run_with_the_reason(tmp_path: Path) -> None:
    failures: list[str] = []
    fault = make_fault("a", [], error=EmbeddedError("the server does not run"))
    with pytest.raises(EmbeddedError):
        play(make_player([(fault, 0.0, 1.0)], tmp_path, failures=failures), 0.05)
    assert failures == ["failed"]


# Conduct: what faults change of how clients and services behave.


def make_conduct() -> Conduct:
    return Conduct({"mint": ServiceSettings(error_share=0.25)}, {"mint": None, "relay": None})


def test_a_change_of_a_service_holds_for_a_while_and_leaves_the_rest_of_its_settings() -> None:
    conduct = make_conduct()
    with conduct.changed_service("mint", timeout_share=1.0):
        assert conduct.services["mint"] == ServiceSettings(error_share=0.25, timeout_share=1.0)
        assert conduct.services["relay"] == ServiceSettings()
    assert conduct.services == make_conduct().services


def test_a_change_of_every_service_holds_for_all() -> None:
    conduct = make_conduct()
    with conduct.changed_service(EVERY, drop_share=0.5):
        assert {settings.drop_share for settings in conduct.services.values()} == {0.5}


def test_changes_that_overlap_end_each_by_itself_in_any_order() -> None:
    conduct = make_conduct()
    first, second = conduct.changed(abandon_share=0.1, patience_s=1.0), conduct.changed(abandon_share=0.2)
    first.__enter__()
    second.__enter__()
    assert (conduct.abandon_share, conduct.patience_s) == (0.2, 1.0)
    first.__exit__(None, None, None)
    assert (conduct.abandon_share, conduct.patience_s) == (0.2, None)
    second.__exit__(None, None, None)
    assert (conduct.abandon_share, conduct.patience_s) == (0.0, None)
