"""What servers have to say: where they are, and at the end what they have answered.

With --json each of the two is one line of JSON, so that a script reads the first as soon as it is there.
"""

from dataclasses import asdict

from integrity.events import Event, Listener
from integrity.numbers import counted
from integrity.report.terminal import flush_result, write_json, write_note, write_result
from integrity.serve.served import DependenciesOpened, ServedDependencies, ServedSystem, ServerOpened


def serve_listener(*, is_json: bool = False) -> Listener:
    """Return what tells, on stdout, where requests are answered."""

    def write(event: Event) -> None:
        if isinstance(event, ServerOpened):
            bug = f" with bug {event.bug}" if event.bug else ""
            _tell(event, f"{event.system}{bug}: {event.url} (on {event.database})", is_json=is_json)

    return write


def dependencies_listener(*, is_json: bool = False) -> Listener:
    """Return what tells, on stdout, where outside parties answer."""

    def write(event: Event) -> None:
        if isinstance(event, DependenciesOpened):
            systems = "; ".join(f"{name}: {', '.join(services)}" for name, services in event.systems.items())
            _tell(event, f"outside parties: {event.url} ({systems})", is_json=is_json)

    return write


def write_served(served: ServedSystem, *, is_json: bool = False) -> None:
    """Write, beside the result, what was answered."""
    owed = _owed(served.left_owed, "webhook or job", "webhooks and jobs")
    _end(served, f"{served.system}: {counted(served.request_count, 'request')} answered{owed}", is_json=is_json)


def write_served_dependencies(served: ServedDependencies, *, is_json: bool = False) -> None:
    """Write, beside the result, what outside parties did."""
    sent = f"{counted(served.delivery_count, 'webhook')} sent, {served.lost_count:,} lost on the way"
    owed = _owed(served.left_owed, "webhook", "webhooks")
    _end(served, f"{counted(served.request_count, 'request')} answered, {sent}{owed}", is_json=is_json)


def _tell(event: ServerOpened | DependenciesOpened, text: str, *, is_json: bool) -> None:
    if is_json:
        write_json({"event": "opened", **asdict(event)}, is_line=True)
    else:
        write_result(text)
    flush_result()
    if event.is_reachable:
        write_note("other machines may reach it, and whoever knows the test password is anybody")
    write_note("Ctrl-C ends it.")


def _end(served: ServedSystem | ServedDependencies, text: str, *, is_json: bool) -> None:
    if is_json:
        write_json({"event": "served", **asdict(served)}, is_line=True)
    else:
        write_note(text)


def _owed(count: int, one: str, several: str) -> str:
    return f"; {counted(count, one, several)} not made any more" if count else ""
