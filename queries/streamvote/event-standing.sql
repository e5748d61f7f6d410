-- title: how an event stands: each option with its votes and stars
-- source: the load test plan's polling, p95 below 150 ms
-- parameter: live_event_id bigint
-- limit-ms: 150
-- index: options_live_event_id_choice_key
-- sample: live_event_id = select live_event_id from streamvote.event_updates
--     group by live_event_id order by count(*) desc, live_event_id limit 20
select
    options.choice,
    tallies.vote_count,
    tallies.stars,
    live_events.status,
    live_events.sequence
from streamvote.live_events
join streamvote.options on options.live_event_id = live_events.id
join streamvote.tallies on tallies.option_id = options.id
where live_events.id = :live_event_id
order by options.choice
