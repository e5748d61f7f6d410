-- title: a wallet's balance equals the sum of its unspent proofs
-- severity: error
-- source: ecash; a wallet's money is the tokens that the mint will still take
-- why: A balance without proofs cannot be paid with, and proofs without a balance are money that nobody sees.
-- hint: Two payments that took the same proofs and were both debited, or a refund of proofs that were back already.
select
    wallets.id as wallet_id,
    wallets.balance_minor,
    coalesce(sum(proofs.amount_minor) filter (where proofs.status = 'unspent'), 0) as unspent_total_minor,
    coalesce(sum(proofs.amount_minor) filter (where proofs.status = 'pending'), 0) as pending_total_minor,
    string_agg(cast(proofs.operation_id as text), ' ') filter (where proofs.status <> 'spent') as operation_ids
from safebox.wallets
left join safebox.proofs on proofs.wallet_id = wallets.id
group by wallets.id
having wallets.balance_minor <> coalesce(sum(proofs.amount_minor) filter (where proofs.status = 'unspent'), 0)
order by wallets.id
