-- title: a wallet's entries, oldest first, with the balance after each
-- parameter: wallet_id bigint
-- sample: wallet_id = select id from safebox.wallets order by id limit 20
-- index: entries_wallet_id_idx
select
    entries.id as entry_id,
    entries.created_at,
    entries.kind,
    entries.reference,
    entries.amount_minor,
    sum(entries.amount_minor) over (order by entries.id) as balance_minor,
    cast(entries.operation_id as text) as operation_id
from safebox.entries
where entries.wallet_id = :wallet_id
order by entries.id
