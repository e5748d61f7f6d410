-- title: the rate windows that are open: what is voted in them counts in their limits
-- why: A run that begins within one is refused for the votes of the run before.
-- parameter: now timestamptz = now
select
    rate_windows.id as rate_window_id,
    rate_windows.wallet_id
from streamvote.rate_windows
where rate_windows.ends_at > :now
order by rate_windows.id
