-- title: the entries of a transfer sum to zero
-- severity: error
-- source: double-entry bookkeeping; what one side gives the other side gets
-- why: A transfer that does not balance creates or destroys stars.
-- hint: A leg that was left out or written with another amount; the two legs belong into one statement.
select
    cast(entries.operation_id as text) as operation_id,
    min(entries.wallet_id) as wallet_id,
    min(entries.kind) as kind,
    min(entries.reference) as reference,
    count(*) as entry_count,
    sum(entries.amount_stars) as entries_total_stars
from streamvote.entries
group by entries.operation_id
having sum(entries.amount_stars) <> 0
order by entries.operation_id
