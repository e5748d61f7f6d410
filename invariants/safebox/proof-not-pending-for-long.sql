-- title: no proof stays pending for longer than 15 minutes
-- severity: error
-- source: the wallet's promise to its owner; a melt takes seconds, and what it held comes back
-- why: Money that is neither spent nor free is lost to its owner as long as it stays so.
-- hint: A payment that timed out at the mint and that nobody took up again.
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    proofs.id as proof_id,
    proofs.wallet_id,
    proofs.amount_minor,
    proofs.payment_id,
    payments.created_at as pending_since,
    cast(payments.operation_id as text) as operation_id
from safebox.proofs
join safebox.payments on payments.id = proofs.payment_id
where proofs.status = 'pending' and payments.created_at < :stuck_before
order by proofs.id
