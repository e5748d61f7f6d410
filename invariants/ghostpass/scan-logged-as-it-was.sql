-- title: the audit log tells first entries, re-entries, exits and rejected scans apart
-- severity: error
-- source: the auditors; first entries and re-entries are logged separately
-- why: Guests are counted by first entries and fees by re-entries: under one kind the log proves neither.
-- hint: A door that logs whoever comes in under one name, or one that does not look at the entry's number.
select
    scans.wallet_id,
    scans.id as scan_id,
    scans.gateway_id,
    scans.direction,
    scans.is_accepted,
    scans.entry_number,
    audit_log.action,
    scans.scanned_at,
    cast(scans.operation_id as text) as operation_id
from ghostpass.scans
join ghostpass.audit_log
    on
        audit_log.operation_id = scans.operation_id
        and audit_log.subject_id = scans.id
        and audit_log.subject = 'scan'
where
    audit_log.action
    <> case
        when not scans.is_accepted then 'rejected_' || scans.direction
        when scans.direction = 'out' then 'scanned_out'
        when scans.entry_number = 1 then 'entered'
        else 'reentered'
    end
order by scans.id, audit_log.id
