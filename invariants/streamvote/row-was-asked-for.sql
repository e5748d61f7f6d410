-- title: nothing was made during a run that no client asked for
-- severity: error
-- source: histories; every effect has a cause
-- why: A vote, credit or invoice that nobody asked for comes from a retry, a job or a hand that nobody watches.
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
        from streamvote.entries
        where entries.account = 'wallet'
        union all
        select
            votes.wallet_id,
            'vote' as effect,
            votes.id as effect_id,
            votes.voted_at as made_at,
            votes.operation_id
        from streamvote.votes
        union all
        select
            rate_windows.wallet_id,
            'window' as effect,
            rate_windows.id as effect_id,
            rate_windows.started_at as made_at,
            rate_windows.operation_id
        from streamvote.rate_windows
        union all
        select
            invoices.wallet_id,
            'invoice' as effect,
            invoices.id as effect_id,
            invoices.created_at as made_at,
            invoices.operation_id
        from streamvote.invoices
        union all
        select
            cast(null as bigint) as wallet_id,
            'event' as effect,
            webhook_events.id as effect_id,
            webhook_events.applied_at as made_at,
            webhook_events.operation_id
        from streamvote.webhook_events
        union all
        select
            cast(null as bigint) as wallet_id,
            'update' as effect,
            event_updates.id as effect_id,
            event_updates.sent_at as made_at,
            event_updates.operation_id
        from streamvote.event_updates
    ) as made
    left join integrity.streamvote_calls as calls on calls.operation_id = made.operation_id
    where
        calls.operation_id is null
        -- most rows are older than every run
        and made.made_at >= (select min(first.started_at) from integrity.streamvote_runs as first)
)

select
    unasked.wallet_id,
    unasked.effect,
    unasked.effect_id,
    unasked.made_at,
    runs.run_id,
    cast(unasked.operation_id as text) as operation_id
from unasked
join integrity.streamvote_runs as runs
    on
        unasked.made_at >= runs.started_at
        and unasked.made_at < case when :in_gaps then runs.alive_until else runs.ended_at end
where
    runs.state in ('finished', 'interrupted')
    and runs.run_id = coalesce(:run_id, runs.run_id)
    -- where the calls of a run are not there, nobody can say who asked: what stands there is a question of its own
    and exists (
        select gaps.run_id
        from integrity.streamvote_gaps as gaps
        where unasked.made_at >= gaps.calls_from and unasked.made_at < gaps.ended_at
    ) = :in_gaps
order by unasked.made_at, unasked.effect, unasked.effect_id, runs.run_id
