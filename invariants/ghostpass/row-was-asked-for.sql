-- title: nothing was made during a run that no client asked for
-- severity: error
-- source: histories; every effect has a cause
-- why: A sale, credit or scan that nobody asked for comes from a retry, a job or a hand that nobody watches.
-- hint: A second client, a job or a trigger on the same database; the operation_id tells which calls it belongs to.
-- parameter: run_id text = null
-- parameter: in_gaps boolean = false
with unasked as materialized (
    -- materialized, so that the tables are read once and not once a run
    select
        made.wallet_id,
        made.effect,
        made.effect_id,
        made.made_at,
        made.operation_id
    from (
        select
            entries.wallet_id,
            'entry' as effect,
            entries.id as effect_id,
            entries.created_at as made_at,
            entries.operation_id
        from ghostpass.entries
        where entries.account = 'wallet'
        union all
        select
            scans.wallet_id,
            'scan' as effect,
            scans.id as effect_id,
            scans.scanned_at as made_at,
            scans.operation_id
        from ghostpass.scans
        union all
        select
            sales.wallet_id,
            'sale' as effect,
            sales.id as effect_id,
            sales.sold_at as made_at,
            sales.operation_id
        from ghostpass.sales
        union all
        select
            fundings.wallet_id,
            'funding' as effect,
            fundings.id as effect_id,
            fundings.requested_at as made_at,
            fundings.operation_id
        from ghostpass.fundings
        union all
        select
            cast(null as bigint) as wallet_id,
            'event' as effect,
            webhook_events.id as effect_id,
            webhook_events.applied_at as made_at,
            webhook_events.operation_id
        from ghostpass.webhook_events
    ) as made
    left join integrity.ghostpass_calls as calls on calls.operation_id = made.operation_id
    where
        calls.operation_id is null
        -- most rows are older than every run
        and made.made_at >= (select min(first.started_at) from integrity.ghostpass_runs as first)
)

select
    unasked.wallet_id,
    unasked.effect,
    unasked.effect_id,
    unasked.made_at,
    runs.run_id,
    cast(unasked.operation_id as text) as operation_id
from unasked
join integrity.ghostpass_runs as runs
    on
        unasked.made_at >= runs.started_at
        and unasked.made_at < case when :in_gaps then runs.alive_until else runs.ended_at end
where
    runs.state in ('finished', 'interrupted')
    and runs.run_id = coalesce(:run_id, runs.run_id)
    -- where the calls of a run are not there, nobody can say who asked: what stands there is a question of its own
    and exists (
        select gaps.run_id
        from integrity.ghostpass_gaps as gaps
        where unasked.made_at >= gaps.calls_from and unasked.made_at < gaps.ended_at
    ) = :in_gaps
order by unasked.made_at, unasked.effect, unasked.effect_id, runs.run_id
