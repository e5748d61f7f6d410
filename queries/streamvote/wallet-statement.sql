-- title: a wallet's entries, oldest first, with the balance after each
-- parameter: wallet_id bigint
-- index: entries_wallet_id_idx
-- sample: wallet_id = select id from streamvote.wallets where spent_stars > 0 order by id limit 20
select
    entries.id as entry_id,
    entries.created_at,
    entries.kind,
    entries.reference,
    entries.amount_stars,
    sum(entries.amount_stars) over (order by entries.id) as balance_stars,
    cast(entries.operation_id as text) as operation_id
from streamvote.entries
where entries.wallet_id = :wallet_id
order by entries.id
