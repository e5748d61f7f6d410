-- title: a poll leaves no payment of its wallet processing, unless the mint did not answer it
-- severity: error
-- source: life cycle; who polls a wallet carries on what is under way in it
-- why: A payment that polls pass by stays processing, and its proofs pending, for ever.
-- hint: The mint timed out once, and neither the poll nor the next payment asks it again.
-- parameter: run_id text = null
select
    payments.id as payment_id,
    payments.wallet_id,
    payments.held_minor,
    payments.created_at,
    count(*) as poll_count,
    min(polls.invoked_at) as first_polled_at,
    min(polls.run_id) as run_id,
    cast(payments.operation_id as text) as operation_id
from integrity.calls as polls
-- of the calls that paid only those with an answer: when the others were committed nobody can say
join integrity.calls as paid on paid.outcome = 'ok' and paid.returned_at < polls.invoked_at
join safebox.payments
    on payments.operation_id = paid.operation_id
    and payments.wallet_id = cast(polls.arguments ->> 'wallet_id' as bigint)
left join integrity.requests as unanswered
    on unanswered.operation_id = polls.operation_id
    and unanswered.run_id = polls.run_id
    and unanswered.answer ->> 'status' in ('timeout', 'error')
where
    polls.operation = 'poll_status'
    and polls.outcome = 'ok'
    and polls.run_id = coalesce(:run_id, polls.run_id)
    and payments.status = 'processing'
    and unanswered.operation_id is null
group by payments.id
order by payments.id
