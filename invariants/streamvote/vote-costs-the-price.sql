-- title: a vote costs what its event asks
-- severity: error
-- source: the price that the streamer set and the app showed; live_events.price_stars
-- why: A viewer who paid more than was shown complains; one who paid less bought influence.
-- hint: A price taken from the request, or from another event; or it was changed by hand, which is no violation.
select
    votes.id as vote_id,
    votes.wallet_id,
    votes.live_event_id,
    votes.stars,
    live_events.price_stars,
    cast(votes.operation_id as text) as operation_id
from streamvote.votes
left join streamvote.live_events on live_events.id = votes.live_event_id
where votes.stars is distinct from live_events.price_stars
order by votes.id
