-- title: an update of a vote names a vote that exists
-- severity: error
-- source: referential integrity; nobody is shown a vote that was not cast
-- why: A vote that was shown and does not exist was made up, or taken back in silence.
-- hint: A vote deleted by hand, or rolled back while its update stayed.
select
    event_updates.id as event_update_id,
    event_updates.live_event_id,
    event_updates.sequence,
    event_updates.vote_id,
    cast(event_updates.operation_id as text) as operation_id
from streamvote.event_updates
left join streamvote.votes on votes.id = event_updates.vote_id
where event_updates.kind = 'vote' and votes.id is null
order by event_updates.id
