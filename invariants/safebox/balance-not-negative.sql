-- title: no wallet has a negative balance
-- severity: error
-- source: bearer money; a wallet can only spend the tokens that it holds
-- why: A negative balance is a payment that went out with nobody's money.
-- hint: A check of the balance that is not part of the debit: two debits pass it on the same money.
select
    wallets.id as wallet_id,
    wallets.balance_minor,
    string_agg(cast(entries.operation_id as text), ' ') as operation_ids
from safebox.wallets
left join safebox.entries on entries.wallet_id = wallets.id
where wallets.balance_minor < 0
group by wallets.id
order by wallets.id
