-- title: a payment ended as the mint said, with the fee that the mint took
-- severity: error
-- source: payments; the mint's word and our books agree
-- why: Money given back for a payment that the mint has made, or may still make, is given twice.
-- hint: A timeout was taken for a failure: it says nothing, and the mint has to be asked again.
-- parameter: run_id text = null
-- parameter: in_gaps boolean = false
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
from integrity.safebox_calls as calls
join safebox.payments on payments.operation_id = calls.operation_id
left join integrity.safebox_requests as requests
    on requests.service = 'mint' and cast(requests.payload ->> 'payment_id' as bigint) = payments.id
where
    payments.status <> 'processing'
    and (:run_id is null or calls.run_id = :run_id)
    -- where the requests of a run are not there, nobody can say what the mint answered
    and exists (
        select gaps.run_id
        from integrity.safebox_gaps as gaps
        where payments.ended_at >= gaps.requests_from and payments.ended_at < gaps.ended_at
    ) = :in_gaps
group by payments.id, calls.run_id
having
    count(requests.operation_id) filter (
        where
        requests.answer ->> 'status' = payments.status
        and (payments.status = 'failed' or cast(requests.answer ->> 'fee_minor' as bigint) = payments.fee_minor)
    ) = 0
order by payments.id
