-- title: an accepted vote has exactly one update in its event, a declined one none
-- severity: error
-- source: streams; everyone who watches sees every vote, once
-- why: Viewers who see another count than the one that decides do not trust it.
-- hint: The update was written after the commit, or for a vote that was declined after all.
select
    votes.id as vote_id,
    votes.wallet_id,
    votes.live_event_id,
    votes.is_accepted,
    count(event_updates.id) as update_count,
    min(event_updates.live_event_id) as update_live_event_id,
    cast(votes.operation_id as text) as operation_id
from streamvote.votes
left join streamvote.event_updates on event_updates.vote_id = votes.id
group by votes.id
having
    count(event_updates.id) <> case when votes.is_accepted then 1 else 0 end
    or min(event_updates.live_event_id) <> votes.live_event_id
    or max(event_updates.live_event_id) <> votes.live_event_id
order by votes.id
