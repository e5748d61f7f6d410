-- title: a settled payment took its amount and its fee from its wallet, and gave its payee the amount
-- severity: error
-- source: payments; what was held comes back as change, less what was paid
-- why: More than that is change that was lost, less is a payment out of nobody's pocket.
-- hint: Change computed from the fee reserve and not from the fee that the mint took, or a settlement posted twice.
select
    payments.id as payment_id,
    payments.wallet_id,
    payments.amount_minor,
    payments.fee_minor,
    payments.held_minor,
    coalesce(sum(entries.amount_minor) filter (where entries.wallet_id = payments.wallet_id), 0) as payer_minor,
    payments.payee_wallet_id,
    coalesce(sum(entries.amount_minor) filter (where entries.wallet_id = payments.payee_wallet_id), 0) as payee_minor,
    cast(payments.operation_id as text) as operation_id
from safebox.payments
left join safebox.entries
    on entries.reference = payments.id and entries.account = 'wallet' and entries.kind <> 'receipt'
where payments.status = 'settled'
group by payments.id
having
    coalesce(sum(entries.amount_minor) filter (where entries.wallet_id = payments.wallet_id), 0)
    <> -payments.amount_minor - payments.fee_minor
    or coalesce(sum(entries.amount_minor) filter (where entries.wallet_id = payments.payee_wallet_id), 0)
    <> case when payments.payee_wallet_id is null then 0 else payments.amount_minor end
order by payments.id
