-- title: no wallet is credited without a confirmed funding
-- severity: error
-- source: payments; money in the wallet was paid by somebody
-- why: A credit for a payment that failed, or was never made, is money given away.
-- hint: A credit and the funding's status written in different transactions, or the kind of the event not looked at.
select
    entries.id as entry_id,
    entries.wallet_id,
    entries.reference as funding_id,
    entries.amount_minor,
    fundings.status,
    cast(entries.operation_id as text) as operation_id
from ghostpass.entries
left join ghostpass.fundings on fundings.id = entries.reference
where
    entries.kind = 'funding'
    and entries.account = 'wallet'
    and fundings.status is distinct from 'confirmed'
order by entries.id
