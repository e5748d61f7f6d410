-- title: no checkout stays open for longer than 1 hour
-- severity: error
-- source: the processor's pages expire; what became of one can always be asked
-- why: The business paid, the webhook was lost, and nobody asked.
-- hint: settle_checkout does not run, or webhooks were dropped and nobody asked the processor.
-- parameter: stuck_before timestamptz = now - 60 minutes
select
    checkouts.id as checkout_id,
    checkouts.business_id,
    checkouts.amount_minor,
    checkouts.created_at,
    cast(checkouts.operation_id as text) as operation_id
from inbox.checkouts
where checkouts.status = 'open' and checkouts.created_at < :stuck_before
order by checkouts.id
