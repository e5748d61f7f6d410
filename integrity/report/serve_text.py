"""What a server has to say: where it is, and at the end what it has answered."""

from integrity.events import Event, Listener
from integrity.numbers import counted
from integrity.report.terminal import flush_result, write_note, write_result
from integrity.serve.served import ServedSystem, ServerOpened


def serve_listener() -> Listener:
    """Return what tells, on stdout, where requests are answered."""

    def write(event: Event) -> None:
        if not isinstance(event, ServerOpened):
            return
        bug = f" with bug {event.bug}" if event.bug else ""
        write_result(f"{event.system}{bug}: {event.url} (on {event.database})")
        flush_result()
        if event.is_reachable:
            write_note("other machines may reach it, and whoever knows the test password is anybody")
        write_note("Ctrl-C ends it.")

    return write


def write_served(served: ServedSystem) -> None:
    """Write, beside the result, what was answered."""
    owed = (
        f"; {counted(served.left_owed, 'webhook or job', 'webhooks and jobs')} not made any more"
        if served.left_owed
        else ""
    )
    write_note(f"{served.system}: {counted(served.request_count, 'request')} answered{owed}")
