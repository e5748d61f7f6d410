-- title: the entries of a transfer sum to zero
-- severity: error
-- source: double-entry bookkeeping; what one side gives the other side gets
-- why: A transfer that does not balance creates or destroys money.
-- hint: Shares that were rounded one by one, or a leg that was left out; compare the legs with the sale's splits.
select
    cast(entries.operation_id as text) as operation_id,
    min(entries.wallet_id) as wallet_id,
    min(entries.kind) as kind,
    min(entries.reference) as reference,
    count(*) as entry_count,
    sum(entries.amount_minor) as entries_total_minor
from ghostpass.entries
group by entries.operation_id
having sum(entries.amount_minor) <> 0
order by entries.operation_id
