-- title: a wallet's entry count equals its accepted scans in
-- severity: error
-- source: entry_count is a cache of scans
-- why: The count decides whether an entry is free or costs the re-entry fee.
-- hint: Two scans that read the same count and both wrote it plus one.
select
    wallets.id as wallet_id,
    presences.entry_count,
    count(scans.id) as scan_count,
    string_agg(cast(scans.operation_id as text), ' ') as operation_ids
from ghostpass.wallets
left join ghostpass.presences on presences.wallet_id = wallets.id
left join ghostpass.scans on scans.wallet_id = wallets.id and scans.entry_number is not null
group by wallets.id, presences.entry_count
having coalesce(presences.entry_count, 0) <> count(scans.id)
order by wallets.id
