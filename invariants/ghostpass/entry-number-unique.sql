-- title: each entry number of a wallet is used once
-- severity: error
-- source: admission control; one accepted scan a ticket and entry
-- why: A pass that was accepted twice let two people in for one.
-- hint: The number was computed from a count read without a lock, and no unique index stopped the second.
select
    scans.wallet_id,
    scans.entry_number,
    count(*) as scan_count,
    string_agg(cast(scans.id as text), ' ') as scan_ids,
    string_agg(cast(scans.operation_id as text), ' ') as operation_ids
from ghostpass.scans
where scans.entry_number is not null
group by scans.wallet_id, scans.entry_number
having count(*) > 1
order by scans.wallet_id, scans.entry_number
