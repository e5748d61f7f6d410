"""Numbers that are none, or far too large, are refused with their bounds: for every option, before a server is started."""

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from integrity.cli.main import COMMANDS, group
from integrity.cli.number_types import Duration, Integer, NumberType
from tests.snapshots.bad_input import Bad, Ended, assert_one_paragraph, bad

NO_NUMBERS = ["inf", "-inf", "nan", "1e300", "1e999", "-1", "", "ten", "9" * 5000, "0x10", "1,5", "\u202e1"]
ARGUMENTS = {
    "run": ["smoke"],
    "suite": ["quick"],
    "replay": ["finding.json"],
    "reproduce": ["balance"],
    "queries ask": ["inbox"],
}


def _options(command: click.Command, path: str) -> Iterator[tuple[str, str, click.Option]]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _options(inner, f"{path} {name}")
    for option in command.params:
        if isinstance(option, click.Option) and isinstance(option.type, NumberType | Integer | Duration):
            yield path, option.opts[0], option


def _all_options() -> list[tuple[str, str, click.Option]]:
    context = click.Context(group)
    return [found for name in COMMANDS for found in _options(group.get_command(context, name) or group, name)]


OPTIONS = _all_options()


def test_there_are_options_that_take_numbers() -> None:
    assert len(OPTIONS) > 25
    assert {path for path, _, _ in OPTIONS} >= {"run", "suite", "validate", "race", "seed", "monitor", "queries run"}


@pytest.mark.parametrize("place", OPTIONS, ids=[f"{path} {option}" for path, option, _ in OPTIONS])
def test_no_option_takes_what_is_no_number(
    run_here: Callable[..., Ended], place: tuple[str, str, click.Option], tmp_path: Path
) -> None:
    path, option, declared = place
    for value in NO_NUMBERS:
        if value == "-1" and isinstance(declared.type, Integer) and declared.type.least is None:
            continue  # its bounds are the system's
        ended = run_here(*path.split(), *ARGUMENTS.get(path, []), option, value)
        assert_one_paragraph(ended, code=2, said=(option, "--help"), value=value)
        assert "is not a" in ended[2] or "is no duration" in ended[2]
    assert not (tmp_path / ".integrity").exists(), "nothing was started, nothing was kept"


OUT_OF_BOUNDS = [
    bad("run smoke --rate 0", "'--rate'", "'0'", "from 0.001 to 1,000,000"),
    bad("run smoke --rate 1000001", "'1000001'", "from 0.001 to 1,000,000"),
    bad("run smoke --time-scale 0", "'--time-scale'", "'0'", "0.001"),
    bad("run smoke --time-scale 1e-300", "'1e-300'", "0.001"),
    bad("run hammer --duration 0s", "'--duration'", "'0s'", "30 days"),
    bad("run hammer --duration 31d", "'31d'", "90s, 20m or 1h30m"),
    bad("run hammer --duration 721h", "'721h'", "30 days"),
    bad("run hammer --clients 0", "'--clients'", "'0'", "from 1 to 1,000,000"),
    bad("run hammer --clients 1000001", "'1000001'", "from 1 to 1,000,000"),
    bad("run smoke --connections 10001", "'10001'", "from 1 to 10,000"),
    bad("run hammer --seed 9223372036854775808", "'9223372036854775808'", "to 9,223,372,036,854,775,807"),
    bad("run hammer --rate 5", "--rate", "closed loop", "Leave it out"),
    bad("run hammer --time-scale 2", "--time-scale", "closed loop"),
    bad("run pilot --time-scale 0.001 --duration 10h", "a run of", "is not from 10ms to 30 days"),
    bad("run pilot --rate 1000000 --time-scale 1000", "1,000,000,000 arrivals a second", "1,000,000"),
    bad("suite quick --system ghostpass --plan --shorten 1000000", "a run of", "30 days"),
    bad("suite quick --shorten 0", "'--shorten'", "'0'", "0.001"),
    bad("validate --limit-evidence -1", "'--limit-evidence'", "'-1'", "from 0 to 10,000"),
    bad("validate --limit-evidence 10001", "'10001'", "from 0 to 10,000"),
    bad("validate --timeout 0", "'--timeout'", "'0'", "from 1ms to 24h"),
    bad("validate --timeout 86401", "'86401'"),
    bad("validate --connections 0", "'--connections'", "from 1 to 64"),
    bad("validate --connections 65", "'65'", "from 1 to 64"),
    bad("race ghostpass sell --preemptions 9", "'--preemptions'", "'9'", "from 0 to 8"),
    bad("race ghostpass sell --actors 9", "'--actors'", "from 1 to 8"),
    bad("race ghostpass sell --jobs 65", "'--jobs'", "from 1 to 64"),
    bad("race ghostpass sell --budget 0", "'--budget'", "'0'"),
    bad("race ghostpass sell --seed -1", "'--seed'", "'-1'"),
    bad("replay f.json --times 0", "'--times'", "from 1 to 10,000"),
    bad("reproduce balance --budget never", "'never'", "90s"),
    bad("monitor --every 0.01s", "'--every'", "'0.01s'", "from 100ms"),
    bad("monitor --every 31d", "'31d'"),
    bad("monitor --pool 0", "'--pool'", "'0'"),
    bad("monitor --process 0", "--process '0'", "PID or NAME=PID"),
    bad("monitor --process app", "--process 'app'", "PID or NAME=PID"),
    bad(f"monitor --process {'9' * 5000}", "no process id", "letters"),
    bad("monitor --process 2147483647", "there is no process 2147483647", "ps aux"),
    bad("stop --grace forever", "'--grace'", "'forever'"),
    bad("queries run --scale 1001", "'--scale'", "'1001'", "to 1,000"),
    bad("queries run --scale 0", "'--scale'", "'0'"),
    bad("queries ask ghostpass/x --limit 0", "'--limit'", "'0'"),
    bad("seed --system ghostpass --wallets 0", "--wallets 0", "1 to 10,000,000"),
    bad("seed --system ghostpass --wallets -5", "--wallets -5", "1 to 10,000,000"),
    bad("seed --system ghostpass --wallets 99999999999", "--wallets 99999999999", "10,000,000"),
    bad("seed --seed -1", "--seed -1"),
    bad("seed --seed 9223372036854775808", "--seed 9223372036854775808"),
    bad("run smoke --fault lost_commit_ack:share=nan@10%-20%", "share", "'nan'", "from 0 to 1"),
    bad("run smoke --fault lost_commit_ack:share=inf@10%-20%", "share", "'inf'", "from 0 to 1"),
    bad(f"run smoke --fault lost_commit_ack@1-{'9' * 400}", "is no window", "run of"),
    bad("run smoke --fault lost_commit_ack@inf-nan", "'inf' is no moment", "seconds"),
]


@pytest.mark.parametrize("case", OUT_OF_BOUNDS, ids=str)
def test_a_number_out_of_its_bounds_is_refused_with_them_before_a_server_is_started(
    refuse: Callable[[Bad], None], case: Bad, tmp_path: Path
) -> None:
    refuse(case)
    assert not (tmp_path / ".integrity").exists()


def _profile(text: str, *, name: str = "smoke", system: str = "ghostpass") -> dict[str, str]:
    return {"integrity.toml": f"[profiles.{system}.{name}]\n{text}\n"}


OPEN = "extends = 'pilot'\n"
IN_FILES = [
    *(
        bad("run smoke", "profile smoke of ghostpass: rate_factor", said, files=_profile(f"rate_factor = {value}"))
        for value, said in [("inf", "finite"), ("nan", "finite"), ("1e300", "1000000"), ("-1", "0.001"), ("0", "0.001")]
    ),
    *(
        bad("run smoke", f"smoke of ghostpass: {key}", files=_profile(f"{OPEN}{key} = {value}"))
        for key in ("duration_s", "clients", "connections", "hot_share", "hot_count", "drain_s", "in_flight_most")
        for value in ("inf", "1e300", "-1", "'many'")
    ),
    bad("run smoke", "services.card.latency_most_s", "'inf'", files=_profile("services.card.latency_most_s = inf")),
    bad("run smoke", "timeout_share", "1.5", files=_profile("services.card.timeout_share = 1.5")),
    bad("run smoke", "thresholds.0.most", files=_profile("thresholds = [{statistic='p95', most=inf, source='x'}]")),
    bad("run smoke", "abandon.sell", files=_profile("abandon = {sell = nan}")),
    bad("suite mine --plan --system ghostpass", "suite mine", "steps.0.duration_s",
        files={"integrity.toml": "[suites.mine]\ntitle = 't'\nsteps = [{profile = 'smoke', duration_s = inf}]\n"}),
    bad("list", "integrity.toml: cannot be read", "4300", files={"integrity.toml": f"x = {'9' * 5000}\n"}),
    bad("list", "integrity.toml: cannot be read", "nested too deeply", files={"integrity.toml": f"x = {'[' * 5000}\n"}),
    bad("list", "integrity.toml: cannot be read", "nested too deeply",
        files={"integrity.toml": f"x = {'{a=' * 5000}1{'}' * 5000}\n"}),
]  # fmt: skip


@pytest.mark.parametrize("case", IN_FILES, ids=str)
def test_a_number_in_a_file_is_refused_with_its_place(refuse: Callable[[Bad], None], case: Bad, tmp_path: Path) -> None:
    refuse(case)
    assert not (tmp_path / ".integrity").exists()
