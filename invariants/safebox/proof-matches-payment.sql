-- title: a proof is pending while its payment is processing, and spent when it has settled
-- severity: error
-- source: life cycle; unspent, pending and spent follow processing, settled and failed
-- why: A proof that stays pending for a payment that has ended is money that nobody can use.
-- hint: Payment and proofs changed in different transactions, or a status set by hand.
select
    proofs.id as proof_id,
    proofs.wallet_id,
    proofs.amount_minor,
    proofs.status,
    proofs.payment_id,
    payments.status as payment_status,
    payments.wallet_id as payment_wallet_id,
    cast(proofs.operation_id as text) as operation_id
from safebox.proofs
left join safebox.payments on payments.id = proofs.payment_id
where
    proofs.status is distinct from
    case
        when proofs.payment_id is null then 'unspent'
        when payments.wallet_id <> proofs.wallet_id then null
        when payments.status = 'processing' then 'pending'
        when payments.status = 'settled' then 'spent'
    end
order by proofs.id
