-- title: every audit row tells of something that happened
-- severity: error
-- source: the auditors; the log and the books agree in both directions
-- why: A log that tells of what never happened proves nothing.
-- hint: The audit row is written before the commit on another connection, or the rows it tells of were deleted.
select
    audit_log.id as audit_id,
    audit_log.action,
    audit_log.subject,
    audit_log.subject_id,
    audit_log.logged_at,
    cast(audit_log.operation_id as text) as operation_id
from ghostpass.audit_log
left join (
    select
        fundings.operation_id,
        'funding' as subject,
        fundings.id as subject_id
    from ghostpass.fundings
    union all
    select
        webhook_events.operation_id,
        'funding' as subject,
        webhook_events.funding_id as subject_id
    from ghostpass.webhook_events
    union all
    select
        scans.operation_id,
        'scan' as subject,
        scans.id as subject_id
    from ghostpass.scans
    union all
    select
        sales.operation_id,
        'sale' as subject,
        sales.id as subject_id
    from ghostpass.sales
    union all
    select
        entries.operation_id,
        'sale' as subject,
        entries.reference as subject_id
    from ghostpass.entries
    where entries.kind = 'refund' and entries.account = 'wallet'
) as happened
    on
        happened.operation_id = audit_log.operation_id
        and happened.subject_id = audit_log.subject_id
        and happened.subject = audit_log.subject
where happened.operation_id is null
order by audit_log.id
