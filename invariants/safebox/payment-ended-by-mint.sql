-- title: a payment ended as the mint said, with the fee that the mint took
-- severity: error
-- source: payments; the mint's word and our books agree
-- why: Money given back for a payment that the mint has made, or may still make, is given twice.
-- hint: A timeout was taken for a failure: it says nothing, and the mint has to be asked again.
-- parameter: run_id text = null
select
    payments.id as payment_id,
    payments.wallet_id,
    payments.status,
    payments.amount_minor,
    payments.fee_minor,
    count(requests.operation_id) as request_count,
    count(requests.operation_id) filter (where requests.answer ->> 'status' = 'timeout') as timeout_count,
    calls.run_id,
    cast(payments.operation_id as text) as operation_id
from integrity.calls
join safebox.payments on payments.operation_id = calls.operation_id
left join integrity.requests
    on requests.service = 'mint' and cast(requests.payload ->> 'payment_id' as bigint) = payments.id
where
    payments.status <> 'processing'
    and calls.run_id = coalesce(:run_id, calls.run_id)
    -- what a run that still goes on was told is not loaded yet
    and not exists (
        select going.run_id
        from integrity.runs as going
        where going.state = 'running' and going.started_at <= payments.ended_at
    )
group by payments.id, calls.run_id
having
    count(requests.operation_id) filter (
        where
        requests.answer ->> 'status' = payments.status
        and (payments.status = 'failed' or cast(requests.answer ->> 'fee_minor' as bigint) = payments.fee_minor)
    ) = 0
order by payments.id
