-- title: a guest is inside if the last accepted scan was in
-- severity: error
-- source: is_inside is a cache of scans
-- why: A guest who is wrongly inside is refused at the door; one who is wrongly outside gets in twice.
-- hint: A scan and its presence written in different transactions, or in different orders at two doors.
select
    wallets.id as wallet_id,
    presences.is_inside,
    scans.direction as last_direction,
    scans.id as last_scan_id,
    scans.scanned_at as last_scanned_at,
    cast(scans.operation_id as text) as operation_id
from ghostpass.wallets
left join ghostpass.presences on presences.wallet_id = wallets.id
left join (
    select
        accepted.wallet_id,
        max(accepted.id) as scan_id,
        max(accepted.id) filter (where accepted.direction = 'in') as scan_in_id,
        max(accepted.id) filter (where accepted.direction = 'out') as scan_out_id
    from ghostpass.scans as accepted
    where accepted.is_accepted
    group by accepted.wallet_id
) as latest on latest.wallet_id = wallets.id
-- for its columns only, so that counting leaves this join out
left join ghostpass.scans on scans.id = latest.scan_id
where coalesce(presences.is_inside, false) <> (coalesce(latest.scan_in_id, 0) > coalesce(latest.scan_out_id, 0))
order by wallets.id
