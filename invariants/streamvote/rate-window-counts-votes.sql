-- title: a rate window has counted exactly the votes that it admitted
-- severity: error
-- source: admitted_count is a cache of votes, and what the limit is checked by
-- why: A window that counts too few lets too many through; one that counts too many stops viewers who did nothing.
-- hint: A count read, raised in the application and written back, or votes admitted before they were counted.
select
    rate_windows.id as rate_window_id,
    rate_windows.wallet_id,
    rate_windows.limit_count,
    rate_windows.admitted_count,
    count(votes.id) as vote_count,
    rate_windows.started_at,
    string_agg(cast(votes.operation_id as text), ' ') as operation_ids
from streamvote.rate_windows
left join streamvote.votes on votes.rate_window_id = rate_windows.id and votes.wallet_id = rate_windows.wallet_id
group by rate_windows.id
having rate_windows.admitted_count <> count(votes.id)
order by rate_windows.id
