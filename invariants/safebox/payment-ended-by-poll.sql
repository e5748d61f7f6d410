-- title: a poll leaves no payment of its wallet processing, unless the mint did not answer it
-- severity: error
-- source: life cycle; who polls a wallet carries on what is under way in it
-- why: A payment that polls pass by stays processing, and its proofs pending, for ever.
-- hint: The mint timed out once, and neither the poll nor the next payment asks it again.
-- parameter: run_id text = null
-- parameter: in_gaps boolean = false
select
    payments.id as payment_id,
    payments.wallet_id,
    payments.held_minor,
    payments.created_at,
    asked.asked_at,
    count(*) as poll_count,
    min(polls.invoked_at) as first_polled_at,
    min(polls.run_id) as run_id,
    cast(payments.operation_id as text) as operation_id
from integrity.safebox_calls as polls
join safebox.payments on payments.wallet_id = cast(polls.arguments ->> 'wallet_id' as bigint)
-- the mint is asked about a payment that is committed, so that a poll after this could see it
join (
    select
        cast(requests.payload ->> 'payment_id' as bigint) as payment_id,
        min(requests.requested_at) as asked_at
    from integrity.safebox_requests as requests
    where requests.service = 'mint' and requests.payload ->> 'payment_id' is not null
    group by cast(requests.payload ->> 'payment_id' as bigint)
) as asked on asked.payment_id = payments.id and asked.asked_at < polls.invoked_at
left join integrity.safebox_requests as unanswered
    on unanswered.operation_id = polls.operation_id
    and unanswered.run_id = polls.run_id
    and unanswered.answer ->> 'status' in ('timeout', 'error')
where
    polls.operation = 'poll_status'
    and polls.outcome = 'ok'
    and (:run_id is null or polls.run_id = :run_id)
    and payments.status = 'processing'
    and unanswered.operation_id is null
    -- where the requests of a run are not there, nobody can say whether the mint answered
    and exists (
        select gaps.run_id
        from integrity.safebox_gaps as gaps
        where gaps.run_id = polls.run_id and polls.returned_at >= gaps.requests_from
    ) = :in_gaps
group by payments.id, asked.asked_at
order by payments.id
