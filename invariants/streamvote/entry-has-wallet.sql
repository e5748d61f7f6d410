-- title: every viewer's entry belongs to a wallet that exists
-- severity: error
-- source: referential integrity; sums over wallets cannot see what belongs to none
-- why: Stars on a wallet that does not exist are owed to somebody whom nobody can name.
-- hint: A foreign key that was dropped or never validated, or a wallet deleted by hand.
select
    entries.id as entry_id,
    entries.wallet_id,
    entries.kind,
    entries.reference,
    entries.amount_stars,
    cast(entries.operation_id as text) as operation_id
from streamvote.entries
left join streamvote.wallets on wallets.id = entries.wallet_id
where entries.account = 'wallet' and wallets.id is null
order by entries.id
