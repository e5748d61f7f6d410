-- title: every scan, accepted or rejected, is in the audit log
-- severity: error
-- source: the auditors; no unlogged transaction
-- why: A dispute at the door is settled by the log.
-- hint: The audit row is written after the commit, or only for accepted scans.
select
    scans.wallet_id,
    scans.id as scan_id,
    scans.gateway_id,
    scans.direction,
    scans.is_accepted,
    scans.scanned_at,
    cast(scans.operation_id as text) as operation_id
from ghostpass.scans
left join ghostpass.audit_log
    on
        audit_log.operation_id = scans.operation_id
        and audit_log.subject_id = scans.id
        and audit_log.subject = 'scan'
where audit_log.operation_id is null
order by scans.id
