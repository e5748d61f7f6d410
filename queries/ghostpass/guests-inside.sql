-- title: who is inside, by which gateway and since when
select
    presences.wallet_id,
    wallets.code,
    wallets.balance_minor,
    presences.entry_count,
    gateways.name as gateway,
    scans.scanned_at as inside_since
from ghostpass.presences
join ghostpass.wallets on wallets.id = presences.wallet_id
left join ghostpass.scans on scans.wallet_id = presences.wallet_id and scans.entry_number = presences.entry_count
left join ghostpass.gateways on gateways.id = scans.gateway_id
where presences.is_inside
order by scans.scanned_at, presences.wallet_id
