-- title: how many votes there are that were taken; the load test plan's votes_submitted_total must have counted as many
-- source: the load test plan's custom metrics
select count(*) as held_count
from streamvote.votes
where votes.reason is null
