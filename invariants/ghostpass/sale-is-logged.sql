-- title: every sale is in the audit log
-- severity: error
-- source: the auditors; no unlogged transaction
-- why: A sale that the log does not know cannot be explained to the guest who disputes it.
-- hint: The audit row is written after the commit, or on another connection: a crash between the two loses it.
select
    sales.id as sale_id,
    sales.wallet_id,
    sales.terminal_id,
    sales.amount_minor,
    sales.sold_at,
    cast(sales.operation_id as text) as operation_id
from ghostpass.sales
left join ghostpass.audit_log
    on
        audit_log.operation_id = sales.operation_id
        and audit_log.subject_id = sales.id
        and audit_log.subject = 'sale'
where audit_log.operation_id is null
order by sales.id
