"""Which bug each fault is meant to expose, system by system, and a run that shows it.

A case is calm but for its fault: no client dies, every service behaves. Without the fault the bug must stay hidden, with it
it must show; that is what makes the fault worth injecting. A fault that is not listed for a system has no bug there that it
exposes by itself, and is only run on the sound system.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from integrity.faults.catalogue import FAULTS
from integrity.faults.fault import Fault, Need
from integrity.registry import SYSTEMS
from integrity.systems.system import System

CALM: Mapping[str, Any] = {"extends": "hammer", "abandon": {}, "services": {}, "thresholds": []}

# Many who do the same on keys of their own: whenever everything is cut at one instant, some are where it hurts.
CROWD: Mapping[str, Any] = {"clients": 40, "hot_share": 0.0}

TWICE = ("@20%-35%", "@50%-65%")
SECONDS = 2.5

SOUND_ARGUMENTS: Mapping[str, str] = {
    "lost_commit_ack": ":share=0.2",
    "lost_commit": ":share=0.2",
    "half_open": ":patience_s=0.1",
    "statement_timeout": ":ms=3",
    "lock_holder": ":of=table,patience_s=0.1",
    "webhook_delay": ":least_s=0.1,more_s=0.3",
}
"""Arguments of a fault in a run of a sound system; others have their defaults."""

DEVICES: Mapping[str, str] = {
    "ghostpass": "terminal_id",
    "safebox": "wallet_id",
    "streamvote": "wallet_id",
    "instainstru": "participant_id",
    "inbox": "business_id",
}
"""What is switched off in each system: something that many calls come from, and of which a run makes no more."""

BUSY_DEVICE: Mapping[str, Any] = {"hot_share": 0.9, "hot_count": 1}
"""What is changed of CALM so that most calls come from the last of the devices."""


def calm(operation: str) -> dict[str, Any]:
    """Return the sockets of an operation that only the fault cuts off."""
    sockets = {"name": "sockets", "operation": operation, "count": 12, "poll_s": 0.03, "disconnect_share": 0.0}
    return {"subscribers": [sockets]}


@dataclass(frozen=True, slots=True)
class Case:
    """A run that shows a bug.

    Args:
        faults: as --fault takes them.
        profile: what is changed of CALM.
        violates: of the bug's invariants, those that must be violated; none: any of them.
        may_overlap: as --faults-may-overlap.
    """

    system: str
    fault: str
    bug: str
    faults: tuple[str, ...]
    profile: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = SECONDS
    may_overlap: bool = False

    @property
    def name(self) -> str:
        return f"{self.system}-{self.fault}-{self.bug}"


def case(system: str, fault: str, bug: str, arguments: str = "", *windows: str, **more: Any) -> Case:
    """Return the case of one fault, with those arguments, in these windows."""
    said = f"{fault}:{arguments}" if arguments else fault
    return Case(system, fault, bug, tuple(said + window for window in windows or ("@20%-80%",)), **more)


SALES = {**CROWD, "weights": {"sell": 1}}
FUNDINGS = {**CROWD, "weights": {"request_funding": 1}}

CASES = [
    # What follows a commit and is not secured is forgotten whenever the client, or its connection, is gone by then.
    case("ghostpass", "lost_commit_ack", "unlogged_sale", "share=0.2"),
    case("ghostpass", "lost_commit_ack", "orphaned_funding", "share=0.2"),
    case("ghostpass", "lost_commit", "orphaned_funding", "share=0.2"),
    case("ghostpass", "connection_reset", "unlogged_sale", "every_s=0.1", profile=SALES),
    case("ghostpass", "backend_terminated", "unlogged_sale", "every_s=0.1", profile=SALES),
    case("ghostpass", "half_open", "unlogged_sale", "share=1,patience_s=0.1", *TWICE, profile=SALES),
    case("ghostpass", "server_stopped", "unlogged_sale", "patience_s=0.1", *TWICE, profile=SALES),
    case("ghostpass", "server_killed", "unlogged_sale", "", *TWICE, profile=SALES),
    case("ghostpass", "pool_exhaustion", "unlogged_sale", "cut=1", *TWICE, profile=SALES),
    case("ghostpass", "client_crash", "unlogged_sale"),
    # The second transaction of a webhook waits for a lock, or meets a limit, and its first has said "applied" already.
    case("ghostpass", "lock_holder", "orphaned_funding", "of=table,table=wallets,patience_s=0.1", profile=FUNDINGS),
    case("ghostpass", "statement_timeout", "orphaned_funding", "ms=1", profile=FUNDINGS),
    Case(
        "ghostpass",
        "device_offline",
        "unlogged_sale",
        tuple(f"device_offline:argument=terminal_id,number={n}@{20 * n}%-{20 * n + 10}%" for n in range(1, 5)),
        profile={**SALES, "clients": 60},
    ),
    case("ghostpass", "webhook_duplicate", "double_credit"),
    # What is read over a slow network is old when it is written.
    case(
        "ghostpass",
        "db_latency",
        "lost_update",
        "ms=40",
        profile={
            "extends": "smoke",
            "hot_share": 1.0,
            "hot_count": 30,
            "own": [],
            "streams": [{"name": "sales", "operations": ["sell"], "per_minute": 900}],
            "bursts": [],
            "connections": 30,
        },
    ),
]

CALM_LISTENERS = calm("open_stream")
MESSAGES = {**CALM_LISTENERS, "clients": 24, "weights": {"send_message": 1}}

CASES += [
    # Who is cut off between a message's commit and its deliveries leaves it undelivered.
    case("instainstru", "lost_commit_ack", "undelivered_message", "share=0.2", profile=MESSAGES),
    case("instainstru", "connection_reset", "undelivered_message", "every_s=0.1", profile=MESSAGES),
    case("instainstru", "backend_terminated", "undelivered_message", "every_s=0.1", profile=MESSAGES),
    case("instainstru", "client_crash", "undelivered_message", profile=MESSAGES),
    case("instainstru", "stream_disconnect", "missed_on_reconnect", profile=CALM_LISTENERS),
]

# A provider that says after a while how far a message has come: until then it looks as if it had not been sent.
LATE_EVENTS = {channel: {"delay_least_s": 0.2, "delay_most_s": 0.4} for channel in ("whatsapp", "email", "sms")}

CASES += [
    case("safebox", "stream_disconnect", "missed_on_reconnect", "at_once=0.8", profile=calm("open_notifications")),
    case("inbox", "stream_disconnect", "missed_on_reconnect", profile=calm("open_changes")),
    case("safebox", "service_timeout", "stuck_processing", "service=mint"),
    case("safebox", "service_timeout", "timeout_means_failed", "service=mint"),
    case("safebox", "webhook_duplicate", "double_accept", "service=relay"),
    case("safebox", "lost_commit_ack", "pos_desync", "share=0.2"),
    case("safebox", "client_crash", "pos_desync", "share=0.3", profile={"weights": {"create_pos_sale": 1}}),
    case("streamvote", "webhook_duplicate", "double_vote", "service=app"),
    case("streamvote", "webhook_duplicate", "double_credit", "service=jobs"),
    # One after the other: at once, these show without any fault.
    case("inbox", "service_timeout", "double_send", "share=0.4", profile={"clients": 1, "services": LATE_EVENTS}),
    case("inbox", "webhook_reorder", "status_regression", profile={"clients": 1}),
    case("inbox", "client_crash", "orphaned_media", "share=0.4"),
    # Who reads between the two transactions shows it, too: nobody reads here.
    case("inbox", "lost_commit_ack", "uncounted_message", "share=0.3", profile={"weights": {"send_whatsapp": 1}}),
]


def applies(system: System, fault: Fault) -> bool:
    """Return whether the fault can be done to this system on the embedded server."""
    if fault.needs & {Need.SERVICES, Need.WEBHOOKS} and not system.services:
        return False
    return not (Need.STREAMS in fault.needs and not system.subscriptions)


SOUND = [(system, fault) for system in SYSTEMS.values() for fault in FAULTS.values() if applies(system, fault)]


def sound_text(system: System, fault: Fault) -> str:
    """Return what --fault is told in a run of a sound system."""
    arguments = SOUND_ARGUMENTS.get(fault.name, "")
    if fault.name == "device_offline":
        arguments = f":argument={DEVICES[system.name]}"
    return f"{fault.name}{arguments}@20%-60%"
