"""The faults that exist, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from integrity.errors import UsageError, quote
from integrity.faults import (
    backend_terminated,
    client_crash,
    connection_reset,
    db_latency,
    device_offline,
    disk_full,
    half_open,
    lock_holder,
    lost_commit,
    lost_commit_ack,
    pool_exhaustion,
    server_killed,
    server_stopped,
    service_error,
    service_latency,
    service_timeout,
    statement_timeout,
    stream_disconnect,
    webhook_delay,
    webhook_drop,
    webhook_duplicate,
    webhook_reorder,
    webhook_replay,
)
from integrity.faults.fault import Fault
from integrity.suggestion import suggest

FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        module.FAULT.name: module.FAULT
        for module in (
            db_latency,
            connection_reset,
            half_open,
            lost_commit_ack,
            lost_commit,
            backend_terminated,
            statement_timeout,
            lock_holder,
            pool_exhaustion,
            server_killed,
            server_stopped,
            disk_full,
            client_crash,
            device_offline,
            service_latency,
            service_timeout,
            service_error,
            webhook_delay,
            webhook_duplicate,
            webhook_reorder,
            webhook_replay,
            webhook_drop,
            stream_disconnect,
        )
    }
)
"""In the order in which they are listed: the database's, the clients', the services', the streams'."""


def find_fault(name: str) -> Fault:
    """Return the fault of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in FAULTS:
        hint = suggest(name, FAULTS, always=f"The faults are: {', '.join(FAULTS)}.")
        raise UsageError(f"there is no fault {quote(name)}", hint=hint)
    return FAULTS[name]
