-- title: no wallet has negative stars
-- severity: error
-- source: prepaid stars; a viewer can only spend what was bought
-- why: Negative stars are votes that nobody paid for and nobody will.
-- hint: A check of the balance that is not part of the debit: two votes pass it on the same stars.
select
    wallets.id as wallet_id,
    wallets.balance_stars,
    string_agg(cast(entries.operation_id as text), ' ') as operation_ids
from streamvote.wallets
left join streamvote.entries on entries.wallet_id = wallets.id
where wallets.balance_stars < 0
group by wallets.id
order by wallets.id
