-- title: nothing was made during a run that no client asked for
-- severity: error
-- source: histories; every effect has a cause
-- why: A message that nobody sent comes from a retry, a job or a hand that nobody watches.
-- hint: A second client, a job or a trigger on the same database; the operation_id tells which calls it belongs to.
-- parameter: run_id text = null
-- parameter: in_gaps boolean = false
with unasked as materialized (
    -- materialized, so that the tables are read once and not once a run
    select
        made.conversation_id,
        made.effect,
        made.effect_id,
        made.made_at,
        made.operation_id
    from (
        select
            conversations.id as conversation_id,
            'conversation' as effect,
            conversations.id as effect_id,
            conversations.opened_at as made_at,
            conversations.operation_id
        from instainstru.conversations
        union all
        select
            messages.conversation_id,
            'message' as effect,
            messages.id as effect_id,
            messages.sent_at as made_at,
            messages.operation_id
        from instainstru.messages
        union all
        select
            cast(null as bigint) as conversation_id,
            'delivery' as effect,
            deliveries.id as effect_id,
            deliveries.delivered_at as made_at,
            deliveries.operation_id
        from instainstru.deliveries
        union all
        select
            read_markers.conversation_id,
            'marker' as effect,
            read_markers.id as effect_id,
            read_markers.read_at as made_at,
            read_markers.operation_id
        from instainstru.read_markers
        where read_markers.read_at is not null
    ) as made
    left join integrity.instainstru_calls as calls on calls.operation_id = made.operation_id
    where
        calls.operation_id is null
        -- most rows are older than every run
        and made.made_at >= (select min(first.started_at) from integrity.instainstru_runs as first)
)

select
    unasked.conversation_id,
    unasked.effect,
    unasked.effect_id,
    unasked.made_at,
    runs.run_id,
    cast(unasked.operation_id as text) as operation_id
from unasked
join integrity.instainstru_runs as runs
    on
        unasked.made_at >= runs.started_at
        and unasked.made_at < case when :in_gaps then runs.alive_until else runs.ended_at end
where
    runs.state in ('finished', 'interrupted')
    and runs.run_id = coalesce(:run_id, runs.run_id)
    -- where the calls of a run are not there, nobody can say who asked: what stands there is a question of its own
    and exists (
        select gaps.run_id
        from integrity.instainstru_gaps as gaps
        where unasked.made_at >= gaps.calls_from and unasked.made_at < gaps.ended_at
    ) = :in_gaps
order by unasked.made_at, unasked.effect, unasked.effect_id, runs.run_id
