"""The user class, and what Locust is told when our part begins and ends."""

from collections.abc import Mapping
from typing import Any

import gevent
from locust import User, constant, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from integrity.locust.master import LOCAL, Master
from integrity.locust.worker import DOWN, UP, Worker

ANSWERS = ("ok", "declined")


class CallFailed(Exception):
    """A call came to no answer, as Locust counts failures."""


class IntegrityUser(User):
    """Asks, again and again, for the next call of a profile; how long it waits between two is `wait_time`, as ever."""

    abstract = True
    wait_time = constant(0)

    def on_start(self) -> None:
        self._worker: Worker = vars(self.environment)["integrity_worker"]
        self._number = self._worker.take_number()

    @task
    def call(self) -> None:
        """Make it, and let Locust count it under the name of its operation."""
        returned = self._worker.call(self._number)
        failure = None
        if returned["outcome"] not in ANSWERS:
            failure = CallFailed(f"{returned['outcome']}: {returned['error']}")
        self.environment.events.request.fire(
            request_type="call",
            name=returned["operation"],
            response_time=returned["ms"],
            response_length=0,
            exception=failure,
            context={},
        )


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    """Add ours to Locust's."""
    group = parser.add_argument_group("integrity", "What the users call, and how the run is judged.")
    for name, what in {
        "system": "The system to load; default: the project's own.",
        "profile": "Which calls, how often, and the limits that a run must keep; a closed loop. Default: hammer.",
        "database": "Where the rows are, which the server works on; default: as every command of integrity's.",
        "project": "The folder to work in; default: this one.",
    }.items():
        default = {"profile": "hammer", "project": "."}.get(name, "")
        group.add_argument(f"--integrity-{name}", default=default, help=what, env_var=f"LOCUST_INTEGRITY_{name.upper()}")


@events.init.add_listener
def take_part(environment: Environment, **_more: Any) -> None:
    """Let the run and the stations begin and end with Locust's test."""
    runner = environment.runner
    if isinstance(runner, WorkerRunner | LocalRunner):
        _Station(environment, runner)
    if isinstance(runner, MasterRunner | LocalRunner):
        _Run(environment, runner)


class _Station:
    """The worker's part: a station for each test."""

    def __init__(self, environment: Environment, runner: Any) -> None:
        self._environment, self._runner = environment, runner
        self._worker: Worker | None = None
        runner.register_message(DOWN, self._hear)
        environment.events.test_start.add_listener(self._begin)
        environment.events.quitting.add_listener(self._quit)

    def _begin(self, **_more: Any) -> None:
        """Begin a station, if none is there: users come before the run's first word, or behind it."""
        if self._worker is None or self._worker.is_over:
            project = str(self._environment.parsed_options.integrity_project)
            self._worker = Worker(self._runner, project)
            vars(self._environment)["integrity_worker"] = self._worker

    def _hear(self, msg: Any, **_more: Any) -> None:
        what: Mapping[str, Any] = msg.data
        if what["kind"] == "clock":
            self._begin()
        if self._worker is not None:
            self._worker.hear(what)

    def _quit(self, **_more: Any) -> None:
        if self._worker is not None:
            self._worker.end()


class _Run:
    """The master's part: a run for each test."""

    def __init__(self, environment: Environment, runner: Any) -> None:
        self._environment, self._runner = environment, runner
        self._master: Master | None = None
        runner.register_message(UP, self._hear)
        environment.events.test_start.add_listener(self._start)
        environment.events.test_stop.add_listener(self._stop)

    def _start(self, **_more: Any) -> None:
        """Begin the run; where that is refused, Locust's test is over."""
        self._master = Master(self._runner, self._command(), over=self._over)
        self._master.begin()

    def _command(self) -> list[str]:
        """Return the run that is asked for, as somebody would type it."""
        given = self._environment.parsed_options
        asked = {
            "system": given.integrity_system,
            "database": given.integrity_database,
            "project": given.integrity_project,
            "target": self._environment.host,
            "clients": given.num_users,
            "duration": f"{given.run_time}s" if given.run_time else None,
        }
        options = (word for name, value in asked.items() if value for word in (f"--{name}", str(value)))
        return ["run", str(given.integrity_profile), *options]

    def _hear(self, msg: Any, **_more: Any) -> None:
        if self._master is not None:
            self._master.hear(msg.node_id if isinstance(self._runner, MasterRunner) else LOCAL, msg.data)

    def _over(self) -> None:
        """The run is over before Locust's test is."""
        gevent.spawn(self._runner.quit)

    def _stop(self, **_more: Any) -> None:
        """End the run: what it comes to is Locust's exit code."""
        if self._master is not None:
            self._environment.process_exit_code = self._master.end()
            self._master = None
