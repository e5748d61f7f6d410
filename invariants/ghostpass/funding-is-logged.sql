-- title: every funding's request and settlement is in the audit log
-- severity: error
-- source: the auditors; no unlogged transaction
-- why: A dispute with the card processor is settled by the log.
-- hint: The audit row is written after the commit, or only for payments that succeeded.
select
    steps.funding_id,
    steps.wallet_id,
    steps.step,
    steps.happened_at,
    cast(steps.operation_id as text) as operation_id
from (
    select
        fundings.id as funding_id,
        fundings.wallet_id,
        'requested' as step,
        fundings.requested_at as happened_at,
        fundings.operation_id
    from ghostpass.fundings
    union all
    select
        webhook_events.funding_id,
        settled.wallet_id,
        webhook_events.kind as step,
        webhook_events.applied_at as happened_at,
        webhook_events.operation_id
    from ghostpass.webhook_events
    left join ghostpass.fundings as settled on settled.id = webhook_events.funding_id
) as steps
left join ghostpass.audit_log
    on
        audit_log.operation_id = steps.operation_id
        and audit_log.subject_id = steps.funding_id
        and audit_log.subject = 'funding'
where audit_log.operation_id is null
order by steps.funding_id, steps.happened_at, steps.operation_id
