-- title: the updates of an event since the last one that a viewer saw, oldest first
-- source: the load test plan's streams, 99% of updates within 1 s
-- parameter: live_event_id bigint
-- parameter: last_sequence bigint = 0
-- limit-ms: 100
-- index: event_updates_live_event_id_sequence_key
-- sample: live_event_id = select live_event_id from streamvote.event_updates
--     group by live_event_id order by count(*) desc, live_event_id limit 20
select
    event_updates.sequence,
    event_updates.kind,
    -- asked row by row, so that both go by their keys: a join of 500 rows reads all votes instead
    (
        select options.choice
        from streamvote.votes
        join streamvote.options on options.id = votes.option_id
        where votes.id = event_updates.vote_id
    ) as choice,
    (select votes.stars from streamvote.votes where votes.id = event_updates.vote_id) as stars,
    event_updates.sent_at
from streamvote.event_updates
where event_updates.live_event_id = :live_event_id and event_updates.sequence > :last_sequence
order by event_updates.sequence
limit 500
