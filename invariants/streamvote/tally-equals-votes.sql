-- title: an option's tally equals the number and the stars of its votes
-- severity: error
-- source: tallies are a cache of votes
-- why: The tally is what everyone sees, and what decides; the votes are what was paid for.
-- hint: A tally read, raised in the application and written back: of two votes at once one is lost.
select
    options.id as option_id,
    options.live_event_id,
    tallies.vote_count,
    count(votes.id) as votes_counted,
    tallies.stars,
    coalesce(sum(votes.stars), 0) as votes_total_stars,
    string_agg(cast(votes.operation_id as text), ' ') as operation_ids
from streamvote.options
left join streamvote.tallies on tallies.option_id = options.id
left join streamvote.votes on votes.option_id = options.id and votes.is_accepted
group by options.id, tallies.vote_count, tallies.stars
having
    tallies.vote_count is distinct from count(votes.id)
    or tallies.stars is distinct from coalesce(sum(votes.stars), 0)
order by options.id
