-- title: every guest's entry is in the audit log
-- severity: error
-- source: the auditors; no unlogged transaction
-- why: Money that moved without a log row cannot be explained to a guest, a vendor or a court.
-- hint: The audit row is written after the commit, or on another connection: a crash between the two loses it.
select
    entries.id as entry_id,
    entries.wallet_id,
    entries.kind,
    entries.reference,
    entries.amount_minor,
    entries.created_at,
    cast(entries.operation_id as text) as operation_id
from ghostpass.entries
left join ghostpass.audit_log
    on
        audit_log.operation_id = entries.operation_id
        and audit_log.subject_id = entries.reference
        and audit_log.subject
        = case entries.kind when 'funding' then 'funding' when 'reentry_fee' then 'scan' else 'sale' end
where entries.account = 'wallet' and audit_log.operation_id is null
order by entries.id
