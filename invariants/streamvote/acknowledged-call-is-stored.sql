-- title: what a client was told has happened is in the database
-- severity: error
-- source: durability; an answer of ok is a promise
-- why: The viewer saw the vote counted, or the streamer the event closed, and nothing remembers it.
-- hint: An answer given before the commit, synchronous_commit switched off, or a restore from an old backup.
-- parameter: run_id text = null
select
    calls.run_id,
    calls.operation,
    calls.client,
    calls.arguments,
    calls.reply,
    calls.returned_at,
    cast(calls.operation_id as text) as operation_id
from integrity.streamvote_calls as calls
left join (
    select
        invoices.operation_id,
        'create_invoice' as operation
    from streamvote.invoices
    union all
    select
        webhook_events.operation_id,
        'receive_payment_webhook' as operation
    from streamvote.webhook_events
    union all
    select
        entries.operation_id,
        'credit_invoice' as operation
    from streamvote.entries
    where entries.kind = 'purchase' and entries.account = 'wallet'
    union all
    select
        event_updates.operation_id,
        case event_updates.kind when 'opened' then 'open_event' else 'close_event' end as operation
    from streamvote.event_updates
    where event_updates.kind in ('opened', 'closed')
) as effects on effects.operation_id = calls.operation_id and effects.operation = calls.operation
-- an ok may tell of a vote that an earlier call with the same key made
left join streamvote.votes
    on
        calls.operation = 'vote'
        and votes.id = cast(calls.reply ->> 'vote_id' as bigint)
        and votes.idempotency_key = calls.arguments ->> 'idempotency_key'
        and votes.is_accepted
where
    calls.outcome = 'ok'
    and calls.operation in (
        'create_invoice', 'receive_payment_webhook', 'credit_invoice', 'open_event', 'close_event', 'vote'
    )
    and calls.run_id = coalesce(:run_id, calls.run_id)
    and effects.operation_id is null
    and votes.id is null
order by calls.returned_at, calls.operation_id
