-- title: no wallet has more votes in a rate window than its limit
-- severity: error
-- source: the load test plan: rate limits under configured thresholds; a client is a wallet
-- why: Who gets past the limit votes faster than anyone can: a script, not a viewer.
-- hint: The window's count was read, then raised: calls at the same time all read the same number below the limit.
select
    rate_windows.wallet_id,
    rate_windows.id as rate_window_id,
    rate_windows.limit_count,
    count(votes.id) as vote_count,
    rate_windows.started_at,
    rate_windows.ends_at,
    string_agg(cast(votes.operation_id as text), ' ') as operation_ids
from streamvote.rate_windows
join streamvote.votes on votes.rate_window_id = rate_windows.id
group by rate_windows.id
having count(votes.id) > rate_windows.limit_count
order by rate_windows.id
