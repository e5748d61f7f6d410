-- title: no entry took its wallet below zero, whatever its stars are now
-- severity: error
-- source: prepaid stars; a viewer can only spend what was bought, at every moment
-- why: A wallet that was below zero and is not any more voted before it had paid; only its entries still tell.
-- hint: A debit that does not ask for the balance and is made good later, or entries that are written before the wallet is locked.
select
    balances.wallet_id,
    balances.entry_id,
    balances.kind,
    balances.reference,
    balances.amount_stars,
    balances.balance_stars,
    balances.operation_id
from (
    select
        entries.wallet_id,
        entries.id as entry_id,
        entries.kind,
        entries.reference,
        entries.amount_stars,
        -- a wallet is locked before its entries are written, so that their ids are in the order of its balances
        sum(entries.amount_stars) over (
            partition by entries.wallet_id
            order by entries.id
            rows between unbounded preceding and current row
        ) as balance_stars,
        cast(entries.operation_id as text) as operation_id
    from streamvote.entries
    where entries.account = 'wallet'
) as balances
where balances.balance_stars < 0
order by balances.wallet_id, balances.entry_id
