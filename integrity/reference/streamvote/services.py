"""The outside services of streamvote: the payment provider, the job queue, the cache, and the viewers' app."""

from collections.abc import Mapping
from dataclasses import dataclass

from integrity.operation import Value
from integrity.systems.service import Context, Reaction, Trouble


def provider(payload: Mapping[str, Value], context: Context) -> Reaction:
    """Take an invoice and say by webhook how it ended, sometimes twice; or cancel one that was never taken."""
    invoice_id = str(payload["invoice_id"])
    trouble = context.trouble()
    if trouble in (Trouble.LOST, Trouble.REFUSED):
        return context.react({}, trouble=trouble)
    if payload["command"] == "cancel":
        end = context.memory.setdefault(invoice_id, "cancelled")
        return context.react({"status": "cancelled" if end == "cancelled" else "under_way"}, trouble=trouble)
    end = context.memory.setdefault(invoice_id, "failed" if context.is_failure() else "paid")
    if end == "cancelled":
        return context.react({"status": "cancelled"}, trouble=trouble)
    arguments: dict[str, Value] = {"event_id": f"evt-{invoice_id}", "invoice_id": payload["invoice_id"], "kind": end}
    webhooks = context.webhooks("receive_payment_webhook", arguments)
    return context.react({"status": "accepted"}, webhooks, trouble=trouble)


def jobs(payload: Mapping[str, Value], context: Context) -> Reaction:
    """Make a job later: until it is done, and now and then twice."""
    trouble = context.trouble()
    work = context.webhooks(str(payload["job"]), {"invoice_id": payload["invoice_id"]})
    return context.react({"status": "accepted"}, work, trouble=trouble)


@dataclass(frozen=True, slots=True)
class _Held:
    """A value in the cache.

    Args:
        read_ms: when it was asked for, and so before it was read.
        ends_ms: from then on it is not given any more; None: never.
    """

    values: Mapping[str, Value]
    read_ms: int
    ends_ms: int | None


def cache(payload: Mapping[str, Value], context: Context) -> Reaction:
    """Give what is held, with its age; or a lease to whoever misses it, with which the value read since may be put.

    A lease is the moment of the miss, and what is put counts from there: however long the reading took, a value is never
    given when it is older than its time to live, and never takes the place of one that was read later.
    """
    trouble = context.trouble()
    if trouble is not None:
        return context.react({}, trouble=trouble)
    now_ms = context.now_ms()
    key = str(payload["key"])
    held: _Held | None = context.memory.get(key)
    if payload["command"] == "get":
        if held is None or (held.ends_ms is not None and held.ends_ms <= now_ms):
            return context.react({"status": "miss", "lease": now_ms})
        return context.react({**held.values, "status": "hit", "age_ms": now_ms - held.read_ms})
    read_ms, ttl_ms = payload["lease"], payload["ttl_ms"]
    assert isinstance(read_ms, int)
    if held is None or held.read_ms <= read_ms:
        values = {name: value for name, value in payload.items() if name not in ("command", "key", "lease", "ttl_ms")}
        context.memory[key] = _Held(values, read_ms, read_ms + ttl_ms if isinstance(ttl_ms, int) else None)
    return context.react({"status": "stored"})


def app(payload: Mapping[str, Value], context: Context) -> Reaction:
    """Send a vote until it is answered: an answer that was lost, or is slow to come, makes the app send it again."""
    return context.react({"status": "accepted"}, context.webhooks("vote", payload))


SERVICES = {"provider": provider, "jobs": jobs, "cache": cache, "app": app}
