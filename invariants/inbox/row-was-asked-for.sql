-- title: nothing was made during a run that no client asked for
-- severity: error
-- source: histories; every effect has a cause
-- why: A message, event or subscription that nobody asked for comes from a retry, a job or a hand that nobody watches.
-- hint: A second client, a job or a trigger on the same database; the operation_id tells which calls it belongs to.
-- parameter: run_id text = null
-- parameter: in_gaps boolean = false
with unasked as materialized (
    -- materialized, so that the tables are read once and not once a run
    select
        made.business_id,
        made.effect,
        made.effect_id,
        made.made_at,
        made.operation_id
    from (
        select
            messages.operation_id,
            messages.business_id,
            'message' as effect,
            messages.id as effect_id,
            messages.created_at as made_at
        from inbox.messages
        union all
        select
            provider_events.operation_id,
            cast(null as bigint) as business_id,
            'event' as effect,
            provider_events.id as effect_id,
            provider_events.applied_at as made_at
        from inbox.provider_events
        union all
        select
            checkouts.operation_id,
            checkouts.business_id,
            'checkout' as effect,
            checkouts.id as effect_id,
            checkouts.created_at as made_at
        from inbox.checkouts
        union all
        select
            subscriptions.operation_id,
            subscriptions.business_id,
            'subscription' as effect,
            subscriptions.id as effect_id,
            subscriptions.started_at as made_at
        from inbox.subscriptions
        union all
        select
            media.operation_id,
            media.business_id,
            'media' as effect,
            media.id as effect_id,
            media.created_at as made_at
        from inbox.media
    ) as made
    left join integrity.inbox_calls as calls on calls.operation_id = made.operation_id
    where
        calls.operation_id is null
        -- most rows are older than every run
        and made.made_at >= (select min(first.started_at) from integrity.inbox_runs as first)
)

select
    unasked.business_id,
    unasked.effect,
    unasked.effect_id,
    unasked.made_at,
    runs.run_id,
    cast(unasked.operation_id as text) as operation_id
from unasked
join integrity.inbox_runs as runs
    on
        unasked.made_at >= runs.started_at
        and unasked.made_at < case when :in_gaps then runs.alive_until else runs.ended_at end
where
    runs.state in ('finished', 'interrupted')
    and runs.run_id = coalesce(:run_id, runs.run_id)
    -- where the calls of a run are not there, nobody can say who asked: what stands there is a question of its own
    and exists (
        select gaps.run_id
        from integrity.inbox_gaps as gaps
        where unasked.made_at >= gaps.calls_from and unasked.made_at < gaps.ended_at
    ) = :in_gaps
order by unasked.made_at, unasked.effect, unasked.effect_id, runs.run_id
