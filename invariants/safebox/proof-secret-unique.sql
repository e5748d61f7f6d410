-- title: each proof has a secret of its own
-- severity: error
-- source: ecash; the mint takes a secret once
-- why: Of two proofs with one secret only the first can be spent: the wallet shows money that it does not have.
-- hint: Secrets derived from a counter that was read by two calls, or proofs that were stored twice by a retry.
select
    proofs.secret,
    min(proofs.wallet_id) as wallet_id,
    count(*) as proof_count,
    sum(proofs.amount_minor) as total_minor,
    string_agg(cast(proofs.operation_id as text), ' ') as operation_ids
from safebox.proofs
group by proofs.secret
having count(*) > 1
order by proofs.secret
