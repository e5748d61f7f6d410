-- title: no wallet has a negative balance
-- severity: error
-- source: prepaid money; a guest can only spend what was paid in
-- why: A negative balance is goods handed out that nobody paid for and nobody will.
-- hint: A check of the balance that is not part of the debit: two debits pass it on the same money.
select
    wallets.id as wallet_id,
    wallets.balance_minor,
    string_agg(cast(entries.operation_id as text), ' ') as operation_ids
from ghostpass.wallets
left join ghostpass.entries on entries.wallet_id = wallets.id
where wallets.balance_minor < 0
group by wallets.id
order by wallets.id
