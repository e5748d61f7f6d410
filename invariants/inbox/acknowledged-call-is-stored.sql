-- title: what a client was told has happened is in the database
-- severity: error
-- source: durability; an answer of ok is a promise, and no message is lost
-- why: The member saw "sent", or the provider was told "received", and nothing remembers it.
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
from integrity.inbox_calls as calls
left join (
    select
        messages.operation_id,
        case messages.direction when 'inbound' then 'receive_message' else 'send_' || conversations.channel end as operation
    from inbox.messages
    join inbox.conversations on conversations.id = messages.conversation_id
    union all
    select
        provider_events.operation_id,
        'receive_provider_event' as operation
    from inbox.provider_events
    union all
    select
        checkouts.operation_id,
        'create_checkout' as operation
    from inbox.checkouts
    union all
    select
        media.operation_id,
        'upload_media' as operation
    from inbox.media
) as effects on effects.operation_id = calls.operation_id and effects.operation = calls.operation
where
    calls.outcome = 'ok'
    and calls.operation in (
        'send_whatsapp',
        'send_email',
        'send_sms',
        'receive_message',
        'receive_provider_event',
        'create_checkout',
        'upload_media'
    )
    and calls.run_id = coalesce(:run_id, calls.run_id)
    and effects.operation_id is null
order by calls.returned_at, calls.operation_id
