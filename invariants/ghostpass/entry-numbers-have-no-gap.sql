-- title: a wallet's entry numbers start at 1 and have no gap
-- severity: error
-- source: admission control; the first entry is free and every later one is counted
-- why: A missing number is an entry that was lost, or a guest charged for a re-entry who was never inside.
-- hint: A counter that rose without its scan, or an accepted scan that was deleted.
select
    scans.wallet_id,
    count(*) as scan_count,
    min(scans.entry_number) as entry_number_least,
    max(scans.entry_number) as entry_number_most,
    string_agg(cast(scans.operation_id as text), ' ') as operation_ids
from ghostpass.scans
where scans.entry_number is not null
group by scans.wallet_id
having min(scans.entry_number) <> 1 or max(scans.entry_number) > count(*)
order by scans.wallet_id
