-- title: a wallet's accepted scans alternate, in first
-- severity: error
-- source: admission control; nobody comes in twice without going out
-- why: Two entries on one wristband are two people on one ticket, and the count of guests inside is wrong.
-- hint: Two doors that read "outside" at the same time: the presence was read without a lock.
select
    ordered.wallet_id,
    ordered.scan_id,
    ordered.direction,
    ordered.previous_scan_id,
    ordered.previous_direction,
    ordered.scanned_at,
    coalesce(ordered.previous_operation_id || ' ', '') || ordered.operation_id as operation_ids
from (
    select
        scans.wallet_id,
        scans.id as scan_id,
        scans.direction,
        scans.scanned_at,
        cast(scans.operation_id as text) as operation_id,
        lag(scans.id) over scans_in_order as previous_scan_id,
        lag(scans.direction) over scans_in_order as previous_direction,
        lag(cast(scans.operation_id as text)) over scans_in_order as previous_operation_id
    from ghostpass.scans
    where scans.is_accepted
    window scans_in_order as (partition by scans.wallet_id order by scans.id)
) as ordered
where ordered.direction = coalesce(ordered.previous_direction, 'out')
order by ordered.wallet_id, ordered.scan_id
