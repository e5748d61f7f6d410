-- title: no funding stays pending for longer than 15 minutes
-- severity: error
-- source: the venue's promise to its guests; a processor's webhook takes seconds
-- why: The guest's card was charged and the wallet shows nothing.
-- hint: Webhooks that were dropped or answered with an error, or a run that stopped before they were delivered.
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    fundings.id as funding_id,
    fundings.wallet_id,
    fundings.amount_minor,
    fundings.requested_at,
    cast(fundings.operation_id as text) as operation_id
from ghostpass.fundings
where fundings.status = 'pending' and fundings.requested_at < :stuck_before
order by fundings.id
