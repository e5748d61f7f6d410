-- title: the entries of a receipt, hold, settlement or return sum to zero
-- severity: error
-- source: double-entry bookkeeping; what one side gives the other side gets
-- why: A transfer that does not balance creates or destroys money.
-- hint: A leg that was left out, such as the change or the fee; compare the legs with the payment's amounts.
select
    entries.kind,
    entries.reference,
    min(entries.wallet_id) as wallet_id,
    count(*) as entry_count,
    sum(entries.amount_minor) as entries_total_minor,
    min(cast(entries.operation_id as text)) as operation_id
from safebox.entries
group by entries.kind, entries.reference
having sum(entries.amount_minor) <> 0
order by entries.kind, entries.reference
