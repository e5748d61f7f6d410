-- title: an entry costs its gateway's re-entry fee, a first entry nothing
-- severity: error
-- source: the venue's price list; gateways.reentry_fee_minor
-- why: A guest charged the wrong fee is refunded by hand, a guest not charged is revenue lost.
-- hint: A fee computed from a stale entry count; or the gateway's fee was changed since, which is no violation.
select
    scans.wallet_id,
    scans.id as scan_id,
    scans.gateway_id,
    scans.entry_number,
    scans.fee_minor,
    gateways.reentry_fee_minor,
    cast(scans.operation_id as text) as operation_id
from ghostpass.scans
left join ghostpass.gateways on gateways.id = scans.gateway_id
where scans.fee_minor is distinct from case when scans.entry_number > 1 then gateways.reentry_fee_minor else 0 end
order by scans.id
