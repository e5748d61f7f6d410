-- title: what a wallet has left and what was paid from it are the 100 that it began with
-- severity: error
select
    wallets.id as wallet_id,
    wallets.balance,
    sum(payments.amount) as paid
from wallets
join payments on payments.wallet_id = wallets.id
group by wallets.id
having wallets.balance + sum(payments.amount) <> 100
order by wallets.id
