-- title: a payment's proofs are its own, and worth what it held
-- severity: error
-- source: ecash; a proof is spent at most once
-- why: Two payments went out on one token: the mint will refuse one of them, or somebody was paid with nothing.
-- hint: A proof's state was read, and then written without asking for it in the where clause; nobody locked the wallet.
select
    payments.id as payment_id,
    payments.wallet_id,
    payments.status,
    payments.held_minor,
    coalesce(sum(proofs.amount_minor), 0) as proofs_total_minor,
    count(proofs.id) as proof_count,
    cast(payments.operation_id as text) as operation_id
from safebox.payments
left join safebox.proofs on proofs.payment_id = payments.id
where payments.status <> 'failed'
group by payments.id
having payments.held_minor <> coalesce(sum(proofs.amount_minor), 0)
order by payments.id
