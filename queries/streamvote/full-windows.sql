-- title: the rate windows that were used up, newest first
-- parameter: since timestamptz = now - 1 day
select
    rate_windows.id as rate_window_id,
    rate_windows.wallet_id,
    rate_windows.admitted_count,
    rate_windows.started_at,
    rate_windows.ends_at
from streamvote.rate_windows
where rate_windows.admitted_count >= rate_windows.limit_count and rate_windows.started_at >= :since
order by rate_windows.started_at desc, rate_windows.id desc
