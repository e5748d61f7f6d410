"""`integrity run --fault` and `integrity faults`, as they are typed."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from integrity.cli.main import main
from integrity.engines.target import Target
from integrity.faults.catalogue import FAULTS
from integrity.runs.folder import RunFolder

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def integrity(
    database: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command in an empty project on an empty database; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", database.text)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        code = ended.value.code
        captured = capsys.readouterr()
        assert isinstance(code, int)
        return code, captured.out, captured.err

    return run


RUN = ("run", "hammer", "--duration", "2s", "--seed", "1")


def test_a_run_shows_each_window_and_what_became_of_unknown_outcomes(integrity: Command, tmp_path: Path) -> None:
    assert integrity("seed", "--system", "ghostpass", "--wallets", "50")[0] == 0
    code, out, _ = integrity(*RUN, "--fault", "lost_commit_ack:share=0.3@20%-60%", "--fault", "client_crash@60%-80%")
    assert code in (0, 3, 4)  # what is cut off counts as failed, and may be too much for the profile's threshold
    assert "fault lost_commit_ack (share=0.3), 0." in out
    assert "commits hidden from their client" in out
    assert "fault client_crash (share=0.2)" in out
    assert "calls of unknown outcome: " in out
    assert "0 not; none twice." in out
    (folder,) = (tmp_path / ".integrity" / "runs").glob("*/")
    result = orjson.loads((folder / "result.json").read_bytes())
    assert [effect["fault"] for effect in result["faults"]] == ["lost_commit_ack", "client_crash"]
    assert result["unknown_outcomes"]["committed"] >= result["faults"][0]["did"]["commits hidden from their client"] / 2
    events = [line.event for line in RunFolder(folder).faults()]
    assert events == ["injected", "healed", "injected", "healed"]
    code, out, _ = integrity("validate")
    assert code == 0, out


MISTAKES = [
    (("lost_comit_ack@0-1",), "there is no fault 'lost_comit_ack'", "lost_commit_ack"),
    (("lost_commit_ack@1-3",), "from 1 s to 3 s is no window in a run of 2 s", "percent"),
    (("lost_commit_ack@0-1", "db_latency@0.5-2"), "overlap", "--faults-may-overlap"),
    (("server_killed@0-1",), "server_killed needs the embedded server", "backend_terminated"),
    (("stream_disconnect@0-1",), "stream_disconnect needs a profile with subscribers", "subscribers"),
    (("service_error:service=mint@0-1",), "ghostpass has no such service", "processor"),
    (("lock_holder:table=walets@0-1",), "ghostpass has no such table", "wallets"),
    (("device_offline:argument=door@0-1",), "ghostpass has no such argument", "gateway_id"),
    (("device_offline:argument=gateway_id,number=99@0-1",), "there are 2 gateways", "-1 for the last"),
]


@pytest.mark.parametrize(("faults", "said", "helps"), MISTAKES, ids=["+".join(mistake[0]) for mistake in MISTAKES])
def test_a_fault_that_cannot_be_is_refused_before_anything_is_done(
    integrity: Command, tmp_path: Path, faults: tuple[str, ...], said: str, helps: str
) -> None:
    assert integrity("seed", "--system", "ghostpass", "--wallets", "50")[0] == 0
    code, out, err = integrity(*RUN, *(word for fault in faults for word in ("--fault", fault)))
    assert (code, out) == (2, "")
    assert said in err
    assert helps in err
    assert "Traceback" not in err
    assert list((tmp_path / ".integrity").glob("runs/*")) == []


def test_on_sqlite_what_needs_a_server_is_refused_and_the_rest_works(integrity: Command) -> None:
    assert integrity("seed", "--system", "ghostpass", "--wallets", "50", "--database", "sqlite:///venue.db")[0] == 0
    for fault in ("lost_commit_ack", "backend_terminated", "lock_holder", "server_killed"):
        code, _, err = integrity(*RUN, "--database", "sqlite:///venue.db", "--fault", f"{fault}@0-1")
        assert (code, f"{fault} needs" in err) == (2, True), err
    code, out, _ = integrity(*RUN, "--database", "sqlite:///venue.db", "--fault", "client_crash@20%-60%")
    assert code in (0, 3, 4)
    assert "clients that were to die" in out
    assert integrity("validate", "--database", "sqlite:///venue.db")[0] == 0


def test_faults_are_listed_and_explained(integrity: Command) -> None:
    code, out, _ = integrity("faults")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[: len(FAULTS)]] == list(FAULTS)
    for name, fault in FAULTS.items():
        code, out, _ = integrity("faults", name)
        assert code == 0
        assert f"asks: {fault.question}" in out
        assert all(argument in out for argument in fault.arguments)
    assert [each["name"] for each in orjson.loads(integrity("faults", "--json")[1])["faults"]] == list(FAULTS)
    assert integrity("faults", "nothing")[0] == 2
