-- title: what each streamer took in votes, and how many viewers voted, most first
-- parameter: since timestamptz = now - 30 days
select
    streamers.id as streamer_id,
    streamers.name,
    count(votes.id) as vote_count,
    count(distinct votes.wallet_id) as wallet_count,
    sum(votes.stars) as taken_stars
from streamvote.streamers
join streamvote.live_events on live_events.streamer_id = streamers.id
join streamvote.votes on votes.live_event_id = live_events.id
where votes.is_accepted and votes.voted_at >= :since
group by streamers.id, streamers.name
order by sum(votes.stars) desc, streamers.id
