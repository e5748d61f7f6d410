-- title: a settled funding has the event that settled it
-- severity: error
-- source: payments; a funding ends because the processor said so
-- why: A funding confirmed without the processor's word is a credit that nobody may ever pay for.
-- hint: A status set by hand, or an event deleted or rolled back while the funding stayed settled.
select
    fundings.id as funding_id,
    fundings.wallet_id,
    fundings.amount_minor,
    fundings.status,
    fundings.settled_at,
    cast(fundings.operation_id as text) as operation_id
from ghostpass.fundings
left join ghostpass.webhook_events on webhook_events.funding_id = fundings.id
where fundings.status <> 'pending' and webhook_events.funding_id is null
order by fundings.id
