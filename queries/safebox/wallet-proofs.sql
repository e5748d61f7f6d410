-- title: what a wallet has left, by the worth of its proofs
-- parameter: wallet_id bigint
-- sample: wallet_id = select id from safebox.wallets order by id limit 20
-- index: proofs_left_idx
select
    proofs.amount_minor as proof_minor,
    count(*) filter (where proofs.status = 'unspent') as unspent_count,
    count(*) filter (where proofs.status = 'pending') as pending_count,
    sum(proofs.amount_minor) as total_minor
from safebox.proofs
where proofs.wallet_id = :wallet_id and proofs.status <> 'spent'
group by proofs.amount_minor
order by proofs.amount_minor
