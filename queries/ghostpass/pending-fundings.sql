-- title: the fundings that wait for the processor, oldest first
select
    fundings.id as funding_id,
    fundings.wallet_id,
    fundings.amount_minor,
    fundings.requested_at,
    cast(fundings.operation_id as text) as operation_id
from ghostpass.fundings
where fundings.status = 'pending'
order by fundings.requested_at, fundings.id
