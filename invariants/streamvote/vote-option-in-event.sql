-- title: a vote is for an option of its own event
-- severity: error
-- source: referential integrity; an option belongs to one event
-- why: A vote that counts in another event decides what its voter never saw.
-- hint: Event and option both taken from the request, without looking whether they belong together.
select
    votes.id as vote_id,
    votes.wallet_id,
    votes.live_event_id,
    votes.option_id,
    options.live_event_id as option_live_event_id,
    cast(votes.operation_id as text) as operation_id
from streamvote.votes
left join streamvote.options on options.id = votes.option_id
where options.live_event_id is distinct from votes.live_event_id
order by votes.id
