-- title: a confirmed funding is credited to its wallet exactly once, in full
-- severity: error
-- source: payments; one credit a charge
-- why: A funding credited twice is money given away; one not credited is money taken from a guest.
-- hint: A webhook that was delivered twice and applied twice: is its event id unique, is the funding still pending?
select
    fundings.id as funding_id,
    fundings.wallet_id,
    fundings.amount_minor,
    count(entries.id) as credit_count,
    coalesce(sum(entries.amount_minor) filter (where entries.wallet_id = fundings.wallet_id), 0) as credited_minor,
    string_agg(cast(entries.operation_id as text), ' ') as operation_ids
from ghostpass.fundings
left join ghostpass.entries
    on entries.reference = fundings.id and entries.kind = 'funding' and entries.account = 'wallet'
where fundings.status = 'confirmed'
group by fundings.id
having
    count(entries.id) <> 1
    or coalesce(sum(entries.amount_minor) filter (where entries.wallet_id = fundings.wallet_id), 0) <> fundings.amount_minor
order by fundings.id
