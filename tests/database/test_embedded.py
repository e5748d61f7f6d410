"""The embedded server starts once, is found again, survives crashes, and says clearly why it cannot start."""

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrity.engines.embedded.binaries import candidate_folders
from integrity.engines.embedded.postmaster import holders_of, is_of_server
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.errors import EmbeddedError, Unreachable
from tests.conftest import LayData
from tests.waiting import wait_until

QUICK = {"fsync": "off", "shared_buffers": "16MB"}
MakeServer = Callable[..., EmbeddedServer]

START = """
import os
import sys
from pathlib import Path
import integrity.engines.postgresql.engine  # what is imported later may lie where that user cannot enter
from integrity.engines.embedded.server import EmbeddedServer
from integrity.errors import EmbeddedError
for word in sys.argv:
    if word.startswith("uid="):  # not by subprocess: another user may not be able to enter the folder of this Python
        os.setgroups([])
        os.setgid(int(word[4:]))
        os.setuid(int(word[4:]))
settings = {"fsync": "off", "shared_buffers": "16MB"}
server = EmbeddedServer(Path(sys.argv[1]), settings=settings, dies_with_parent="dies" in sys.argv)
try:
    server.start()
except EmbeddedError as error:
    sys.exit(str(error))
print(server.status().pid, flush=True)
if "wait" in sys.argv:
    sys.stdin.read()
if "stop" in sys.argv:
    server.stop()
"""

NOBODY = pwd.getpwnam("nobody").pw_uid
NAMELESS = 54321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change to other users")


@pytest.fixture
def make_server(tmp_path: Path, lay_data: LayData) -> Iterator[MakeServer]:
    """Make servers that are stopped after the test; by default on a folder of the test's own, with data in it."""
    made: list[EmbeddedServer] = []

    def make(home: Path | None = None, *, is_new: bool = False, **settings: str) -> EmbeddedServer:
        home = home or tmp_path / "home"
        if not is_new and not home.exists():
            lay_data(home)
        made.append(EmbeddedServer(home, settings={**QUICK, **settings}, dies_with_parent=True))
        return made[-1]

    yield make
    for server in made:
        if server.home.is_dir():
            server.reset()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="integrity-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def start_elsewhere(home: Path, *words: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start the server from a new process; its output is the server's pid, or the error."""
    command = [*prefix, sys.executable, "-c", START, str(home), *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def pid_of(server: EmbeddedServer) -> int:
    pid = server.status().pid
    assert pid is not None
    return pid


def rows(server: EmbeddedServer, statement: str) -> list[tuple[object, ...]]:
    with server.target.connect() as connection:
        return connection.execute(statement.encode()).fetchall()


def test_a_started_server_answers_on_its_own_database_and_does_not_listen_on_tcp(make_server: MakeServer) -> None:
    server = make_server(is_new=True)
    with server.start().connect() as connection:
        assert connection.execute("select current_database(), current_user").fetchall() == [("integrity", "integrity")]
        assert connection.execute("show listen_addresses").fetchall() == [("",)]
        assert connection.execute("show synchronous_commit").fetchall() == [("on",)]


def test_starting_again_finds_the_running_server_at_once(make_server: MakeServer, tmp_path: Path) -> None:
    first = make_server()
    first.start()
    began = time.monotonic()
    second = EmbeddedServer(tmp_path / "home")
    assert second.start() == first.target
    assert time.monotonic() - began < 1
    assert pid_of(second) == pid_of(first)


def test_a_stopped_server_keeps_its_rows(make_server: MakeServer) -> None:
    server = make_server()
    with server.start().connect() as connection:
        connection.execute("create table kept as select 41 as id")
    assert server.stop()
    assert not server.status().is_running
    assert not server.stop()
    server.start()
    assert rows(server, "select id from kept") == [(41,)]


def test_stopping_does_not_wait_for_whoever_is_connected(make_server: MakeServer) -> None:
    server = make_server()
    connection = server.start().connect()
    connection.execute("begin")
    assert server.stop()
    connection.close()


def test_reset_deletes_the_data_and_the_next_start_is_anew(make_server: MakeServer) -> None:
    server = make_server()
    with server.start().connect() as connection:
        connection.execute("create table gone ()")
    server.reset()
    assert server.status().version is None
    server.start()
    assert rows(server, "select to_regclass('gone')") == [(None,)]


def test_processes_that_start_at_once_get_one_server(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server(is_new=True)
    starters = [start_elsewhere(tmp_path / "home", "wait") for _ in range(4)]
    pids = {starter.stdout.readline() for starter in starters if starter.stdout}
    assert pids == {f"{pid_of(server)}\n"}
    for starter in starters:
        starter.communicate()


def test_it_goes_on_after_the_process_that_started_it(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server()
    output, _ = start_elsewhere(tmp_path / "home").communicate()
    assert int(output) == pid_of(server)


def test_one_that_dies_with_its_parent_ends_when_the_parent_is_killed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with start_elsewhere(home, "dies", "wait") as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert EmbeddedServer(home).status().pid == pid
        parent.kill()
    with (home / "server.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # returns when the last process of the server has ended
    assert not EmbeddedServer(home).status().is_running
    assert "shut down" in (home / "log").read_text()


def test_what_was_committed_is_there_after_the_server_was_killed(make_server: MakeServer) -> None:
    server = make_server()
    with server.start().connect() as connection:
        connection.execute("create table kept (id int)")
        connection.execute("insert into kept select generate_series(1, 1000)")
        os.kill(pid_of(server), signal.SIGKILL)
    server.start()
    assert rows(server, "select count(*) from kept") == [(1000,)]


def test_a_query_that_outlives_the_killed_server_is_ended(make_server: MakeServer) -> None:
    """A backend that computes does not notice that its server is gone, and would hold the shared memory for ever."""
    server = make_server()
    with contextlib.closing(server.start().connect()) as connection:
        connection.execute("create table kept as select 41 as id")
        connection.pgconn.send_query(b"do $$ begin loop end loop; end $$")
        while not rows(server, "select from pg_stat_activity where state = 'active' and query like 'do %'"):
            pass
        os.kill(pid_of(server), signal.SIGKILL)
        server.start()
    assert rows(server, "select id from kept") == [(41,)]


@pytest.fixture
def stranger() -> Iterator[int]:
    """The pid of a living process that has nothing to do with us; it must live on."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process.pid
        assert process.poll() is None
        process.kill()


HOLD = "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"


def test_a_stranger_that_holds_the_lock_is_named_and_left_alone(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrity.engines.embedded.server.ORPHAN_S_MAX", 0.0)
    monkeypatch.setattr("integrity.engines.embedded.server.STRANGER_S_MAX", 0.2)
    server = make_server()
    server.start()
    server.stop()
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD, server.home / "server.lock"], stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        for act in (server.stop, server.start):
            with pytest.raises(EmbeddedError, match=rf"of PostgreSQL is none .*: {holder.pid} \(python") as refused:
                act()
            assert "left alone" in str(refused.value.hint)
        assert holder.poll() is None
        holder.communicate()


def test_a_stranger_that_reads_the_lock_file_is_left_alone(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    with subprocess.Popen(["tail", "-f", server.home / "server.lock"]) as reader:
        assert server.stop()
        assert reader.poll() is None
        reader.kill()


def test_what_a_killed_first_start_left_at_work_is_waited_for(make_server: MakeServer, tmp_path: Path) -> None:
    """The orphan of initdb goes on writing; who begins then finds a folder that fills while it is emptied."""
    new = tmp_path / "home/data.new"
    with start_elsewhere(tmp_path / "home") as starter:
        lock = tmp_path / "home/server.lock"
        wait_until(
            lambda: starter.poll() is not None or (new.exists() and any(is_of_server(pid, new) for pid in holders_of(lock)))
        )
        assert starter.poll() is None
        starter.kill()
    server = make_server(is_new=True)
    server.start()
    assert rows(server, "select 1") == [(1,)]
    assert not new.exists()


def test_a_server_that_was_stopped_is_not_revived_and_one_that_was_killed_is(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    os.kill(pid_of(server), signal.SIGKILL)
    server.revive()
    assert rows(server, "select 1") == [(1,)]
    server.stop()
    with pytest.raises(EmbeddedError, match="was stopped in good order") as refused:
        server.revive()
    assert "integrity db start" in str(refused.value.hint)
    assert not server.status().is_running
    server.start()
    assert server.status().is_running


def leave_stale_pid_file(server: EmbeddedServer, pid: int) -> None:
    """Kill the server and make its postmaster.pid, which still says ready, name another process."""
    server.start()
    os.kill(pid_of(server), signal.SIGKILL)
    for file in (server.home / "data/postmaster.pid", server.home / "socket/.s.PGSQL.5432.lock"):
        _, *rest = file.read_text().splitlines()
        file.write_text("\n".join([str(pid), *rest, ""]))


def test_a_pid_file_that_names_a_living_stranger_is_stale(make_server: MakeServer, stranger: int) -> None:
    server = make_server()
    leave_stale_pid_file(server, stranger)
    assert not server.status().is_running
    assert not server.stop()
    server.start()
    assert pid_of(server) != stranger


def test_a_pid_file_that_names_nobody_is_stale(make_server: MakeServer) -> None:
    server = make_server()
    with subprocess.Popen(["true"]) as ended:
        pass
    leave_stale_pid_file(server, ended.pid)
    assert not server.status().is_running
    server.start()
    assert server.status().is_running


def test_a_server_whose_socket_was_deleted_is_started_again(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    pid = pid_of(server)
    shutil.rmtree(server.home / "socket")
    assert not server.status().is_running
    server.start()
    assert pid_of(server) != pid


def test_an_initialization_that_was_interrupted_is_begun_again(make_server: MakeServer, tmp_path: Path) -> None:
    (tmp_path / "home/data.new").mkdir(parents=True)
    (tmp_path / "home/data.new/PG_VERSION").write_text("18\n")
    server = make_server(is_new=True)
    server.start()
    assert rows(server, "select 1") == [(1,)]


@pytest.mark.parametrize("name", ["n" * 120, "a, b%20c 'd' \"e\" ü@:?", "a,b"])
def test_a_folder_whose_path_no_socket_can_have_gets_a_short_one_elsewhere(
    make_server: MakeServer, tmp_path: Path, name: str
) -> None:
    server = make_server(tmp_path / name)
    server.start()
    elsewhere = Path(os.path.realpath(server.home / "socket"))
    assert server.home not in elsewhere.parents
    assert elsewhere.stat().st_mode & 0o777 == 0o700
    again = EmbeddedServer(server.home)
    assert again.start() == server.target
    assert rows(again, "select 1") == [(1,)]
    own = server.target
    server.stop()
    assert EmbeddedServer(server.home).serves(own)
    with pytest.raises(Unreachable) as stopped, own.asking():
        pass
    assert (
        stopped.value.hint
        == f"It is the embedded server of {server.home.parent.parent}, and stopped; there: integrity db start"
    )
    assert server.start() == own, "who wrote its URL down has it still"
    assert rows(server, "select 1") == [(1,)]
    server.stop()
    shutil.rmtree(elsewhere)  # as what tidies up temporary folders does
    server.start()
    assert rows(server, "select 1") == [(1,)]
    elsewhere = Path(os.path.realpath(server.home / "socket"))
    server.reset()
    assert not elsewhere.exists()


def test_a_bad_setting_fails_fast_with_the_reason(make_server: MakeServer) -> None:
    make_server().start()
    server = make_server(**{"no_such_setting": "1"})
    server.stop()
    began = time.monotonic()
    with pytest.raises(EmbeddedError, match='unrecognized configuration parameter "no_such_setting"') as raised:
        server.start()
    assert time.monotonic() - began < 20, "not the whole time that a recovery may take"
    assert raised.value.hint is not None
    assert str(server.log) in raised.value.hint


def test_an_interrupted_start_leaves_no_server_behind(make_server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    server = make_server()
    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedServer, "_wait_until_ready", interrupt)
        with pytest.raises(KeyboardInterrupt):
            server.start()
    with (server.home / "server.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while a process of the server lives
    server.start()
    assert rows(server, "select 1") == [(1,)]


def test_data_of_another_version_is_refused_with_what_was_tried(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    server.stop()
    (server.home / "data/PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match=r"no PostgreSQL 9 that runs here\. Tried: .*the data is of 9") as raised:
        server.start()
    assert "integrity db reset" in str(raised.value.hint)


def test_a_file_in_place_of_the_folder_is_a_clear_error(make_server: MakeServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file/home"):
        with pytest.raises(EmbeddedError, match=f"{home}: the embedded server cannot start: (File exists|Not a directory)"):
            make_server(home, is_new=True).start()


@needs_root
def test_a_folder_that_may_not_be_written_is_a_clear_error(open_folder: Path) -> None:
    _, error = start_elsewhere(open_folder / "home", f"uid={NOBODY}").communicate()
    assert f"{open_folder}/home: the embedded server cannot start: Permission denied" in error
    assert "hint: Choose a folder that you may write" in error


def small_disk(folder: Path, then: str) -> tuple[str, ...]:
    """The start of a command that runs with a disk of a few megabytes on the folder; skips where none can be mounted."""
    prefix = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--mount")
    mount = ["mount", "-t", "tmpfs", "-o", "size=80m", "none", str(folder)]
    if subprocess.run([*prefix, *mount], capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is refused here")
    return (*prefix, "sh", "-c", f'{" ".join(mount)} && {then} && exec "$@"', "sh")


def test_a_full_disk_is_a_clear_error_when_the_data_is_made(tmp_path: Path) -> None:
    fill = f"head -c 70M /dev/zero > {tmp_path}/filler"
    _, error = start_elsewhere(tmp_path / "home", prefix=small_disk(tmp_path, fill)).communicate()
    assert f"{tmp_path}/home: the data folder could not be made: " in error
    assert "No space left on device" in error
    assert "hint: Free some space on that disk" in error
    assert not (tmp_path / "home/data").exists()


def test_a_full_disk_is_a_clear_error_when_the_server_starts(tmp_path: Path) -> None:
    make = f"{sys.executable} -c '{START}' {tmp_path}/home stop && ! head -c 80M /dev/zero > {tmp_path}/filler 2>/dev/null"
    _, error = start_elsewhere(tmp_path / "home", prefix=small_disk(tmp_path, make)).communicate()
    assert f"{tmp_path}/home: the server did not start: " in error
    assert "No space left on device" in error


def skip_unless_open(uid: int) -> None:
    """Skip where another user cannot run the server's programs, as when the checkout is in a folder closed to others."""
    programs = next(candidate_folders(os.environ)).folder
    if subprocess.run(["test", "-x", programs / "postgres"], user=uid, group=uid, check=False).returncode != 0:
        pytest.skip(f"uid {uid} cannot enter {programs}")


@needs_root
def test_root_runs_it_as_another_user_and_changes_no_folder_of_others(make_server: MakeServer, open_folder: Path) -> None:
    skip_unless_open(NOBODY)
    before = open_folder.stat()
    server = make_server(open_folder / "home", is_new=True)
    server.start()
    owner = pwd.getpwuid((server.home / "data").stat().st_uid).pw_name
    assert owner in ("postgres", "nobody")
    assert Path(f"/proc/{pid_of(server)}").stat().st_uid == (server.home / "data").stat().st_uid
    assert rows(server, "select 1") == [(1,)]
    after = open_folder.stat()
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)


@needs_root
def test_root_runs_it_in_a_folder_that_no_other_user_can_enter(make_server: MakeServer, open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    server = make_server(closed / "home", is_new=True)
    server.start()
    assert (server.home / "data").stat().st_uid == 0
    assert rows(server, "select 1") == [(1,)]
    assert closed.stat().st_mode & 0o777 == 0o700


@needs_root
@pytest.mark.parametrize("uid", [NOBODY, NAMELESS], ids=["nobody", "a uid without a name"])
def test_an_ordinary_user_runs_it_as_itself(open_folder: Path, uid: int) -> None:
    own = open_folder / "own"
    own.mkdir()
    os.chown(own, uid, uid)
    skip_unless_open(uid)
    starter = start_elsewhere(own / "home", "dies", "wait", f"uid={uid}")
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    server = EmbeddedServer(own / "home")
    assert Path(f"/proc/{pid}").stat().st_uid == uid
    assert server.start() == server.target, "root finds the server of another user"
    assert server.stop()
    starter.communicate()


@needs_root
def test_the_data_of_another_user_is_refused(open_folder: Path) -> None:
    home = open_folder / "home"
    (home / "data").mkdir(parents=True)
    os.chown(home, NAMELESS, NAMELESS)
    _, error = start_elsewhere(home, f"uid={NAMELESS}").communicate()
    assert f"{home}/data: belongs to root, you are uid {NAMELESS}" in error


def test_the_server_is_given_no_secret_of_ours(make_server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRITY_DATABASE_URL", "postgresql://user:hunter2@host/name")
    monkeypatch.setenv("PGDATA", "/nowhere")
    server = make_server()
    server.start()
    environment = Path(f"/proc/{pid_of(server)}/environ").read_bytes()
    assert b"PATH=" in environment
    assert b"hunter2" not in environment
    assert b"/nowhere" not in environment


def test_a_table_of_ones_own_is_never_made_among_our_books(database: Target) -> None:
    with database.connect() as connection:
        connection.execute("create schema integrity; create table calls (id int)")
        row = connection.execute("select schemaname from pg_tables where tablename = 'calls'").fetchone()
    assert row == ("public",)
