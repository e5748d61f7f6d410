-- title: a failed payment gave back its proofs and its debit, exactly once
-- severity: error
-- source: payments; who was not served does not pay
-- why: A debit that was not returned is a customer robbed, one returned twice is money given away.
-- hint: The caller and a poll both compensated it: is it changed from processing to failed in the transaction that returns?
select
    payments.id as payment_id,
    payments.wallet_id,
    payments.held_minor,
    coalesce(posted.debited_minor, 0) as debited_minor,
    coalesce(posted.returned_minor, 0) as returned_minor,
    coalesce(posted.return_count, 0) as return_count,
    count(proofs.id) as kept_proof_count,
    cast(payments.operation_id as text) as operation_id
from safebox.payments
left join (
    select
        entries.reference as payment_id,
        entries.wallet_id,
        sum(entries.amount_minor) filter (where entries.kind = 'hold') as debited_minor,
        sum(entries.amount_minor) filter (where entries.kind <> 'hold') as returned_minor,
        count(*) filter (where entries.kind <> 'hold') as return_count
    from safebox.entries
    where entries.account = 'wallet' and entries.kind <> 'receipt'
    group by entries.reference, entries.wallet_id
) as posted on posted.payment_id = payments.id and posted.wallet_id = payments.wallet_id
left join safebox.proofs on proofs.payment_id = payments.id
where payments.status = 'failed'
group by payments.id, posted.debited_minor, posted.returned_minor, posted.return_count
having
    coalesce(posted.debited_minor, 0) <> -payments.held_minor
    or coalesce(posted.returned_minor, 0) <> payments.held_minor
    or coalesce(posted.return_count, 0) <> 1
    or count(proofs.id) <> 0
order by payments.id
