-- title: a scan's fee is debited from its wallet exactly once
-- severity: error
-- source: double-entry bookkeeping; a fee that was shown at the door is one entry
-- why: A fee charged twice or from somebody else's wallet is a complaint, one not charged is revenue lost.
-- hint: A retry that debited again, or a scan accepted although its debit failed.
select
    scans.wallet_id,
    scans.id as scan_id,
    scans.entry_number,
    scans.fee_minor,
    count(entries.id) as debit_count,
    coalesce(sum(entries.amount_minor) filter (where entries.wallet_id = scans.wallet_id), 0) as debited_minor,
    cast(scans.operation_id as text) as operation_id
from ghostpass.scans
left join ghostpass.entries
    on entries.reference = scans.id and entries.kind = 'reentry_fee' and entries.account = 'wallet'
group by scans.id
having
    count(entries.id) <> case when scans.fee_minor = 0 then 0 else 1 end
    or coalesce(sum(entries.amount_minor) filter (where entries.wallet_id = scans.wallet_id), 0) <> -scans.fee_minor
order by scans.id
