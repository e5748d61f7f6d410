-- title: every viewer's entry names an invoice or a vote of the same wallet
-- severity: error
-- source: double-entry bookkeeping; no posting without a voucher
-- why: A viewer who was charged for nothing, or for what somebody else voted, will ask for it back.
-- hint: An invoice or vote that was rolled back or deleted while its entry stayed, or a reference to the wrong row.
select
    entries.id as entry_id,
    entries.wallet_id,
    entries.kind,
    entries.reference,
    entries.amount_stars,
    coalesce(invoices.wallet_id, votes.wallet_id) as cause_wallet_id,
    cast(entries.operation_id as text) as operation_id
from streamvote.entries
left join streamvote.invoices on invoices.id = entries.reference and entries.kind = 'purchase'
left join streamvote.votes on votes.id = entries.reference and entries.kind = 'vote'
where
    entries.account = 'wallet'
    and coalesce(invoices.wallet_id, votes.wallet_id) is distinct from entries.wallet_id
order by entries.id
