"""What the proxy has to say: first where the application is to connect, at the end what has passed and what was done."""

from collections.abc import Mapping
from typing import Any

from integrity.events import Event, Listener
from integrity.faults.served import ProxyOpened, Served
from integrity.numbers import counted
from integrity.proxy.postgresql.session import HUNG_UP
from integrity.proxy.tls import hint_of
from integrity.report.layout import lay_table
from integrity.report.terminal import write_json, write_note, write_result


def proxy_listener() -> Listener:
    """Return what tells, on stderr, that the proxy listens."""

    def write(event: Event) -> None:
        if isinstance(event, ProxyOpened):
            write_note(render_opening(event))

    return write


def render_opening(opened: ProxyOpened) -> str:
    """Return where the application is to connect."""
    password = "with its own password in the place of ***" if opened.has_password else ""
    lines = [
        f"proxy: in front of {opened.server}. Start the application {password or 'with this'}:",
        f"  DATABASE_URL={opened.url}",
        *(f"  fault {pick.text}: {pick.fault.title}" for pick in opened.picks),
        *([f"  records to {opened.file}"] if opened.file is not None else []),
        "Ctrl-C ends it.",
    ]
    return "\n".join(lines)


def write_served(served: Served, *, is_json: bool) -> None:
    """Write what has passed to stdout."""
    if is_json:
        write_json(describe_served(served))
    else:
        write_result(render_served(served))


def describe_served(served: Served) -> Mapping[str, Any]:
    """Return it as JSON has it."""
    return {
        "connection_count": served.connection_count,
        "statement_count": served.statement_count,
        "record_count": served.record_count,
        "did": served.counts,
        "faults": [
            {
                "fault": pick.fault.name,
                "text": pick.text,
                "matched_count": pick.matched_count,
                "struck_count": pick.struck_count,
            }
            for pick in served.picks
        ],
    }


def render_served(served: Served) -> str:
    """Return it as text."""
    blocks = []
    if served.picks:
        rows = [[pick.text, f"{pick.matched_count:,}", f"{pick.struck_count:,}"] for pick in served.picks]
        blocks.append(lay_table(rows, ["fault", "could strike", "struck"], align=("left", "right", "right")))
    did = [f"{many:,} {what}" for what, many in served.counts.items()]
    written = f"; {counted(served.record_count, 'record')} written" if served.record_count else ""
    blocks.append(
        f"proxy: {counted(served.connection_count, 'connection')}, "
        f"{counted(served.statement_count, 'statement')}; {', '.join(did) or 'nothing was done to them'}{written}"
    )
    if served.counts.get(HUNG_UP):
        blocks.append(
            "hint: Let clients that insist on encryption connect with sslmode=prefer, or start the proxy with --tls\n"
            "  (pip install 'integrity[tls]'). One that verifies certificates (sslmode=verify-full) cannot be served."
        )
    elif hint := hint_of(served.counts):
        blocks.append(f"hint: {hint}")
    if not served.connection_count:
        blocks.append("hint: No connection came: is the DATABASE_URL of the application the one that was named?")
    return "\n".join(blocks)
