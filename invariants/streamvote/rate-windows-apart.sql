-- title: a wallet is in one rate window at a time
-- severity: error
-- source: rate limits; a second window beside the first doubles the limit
-- why: With two windows at once a client is admitted twice as often as the rules say.
-- hint: Whether there is a window was read before the new one was inserted, without the wallet's lock.
select
    ordered.wallet_id,
    ordered.rate_window_id,
    ordered.started_at,
    ordered.previous_rate_window_id,
    ordered.previous_ends_at,
    ordered.operation_id
from (
    select
        rate_windows.wallet_id,
        rate_windows.id as rate_window_id,
        rate_windows.started_at,
        lag(rate_windows.id) over windows_in_order as previous_rate_window_id,
        lag(rate_windows.ends_at) over windows_in_order as previous_ends_at,
        cast(rate_windows.operation_id as text) as operation_id
    from streamvote.rate_windows
    window windows_in_order as (partition by rate_windows.wallet_id order by rate_windows.id)
) as ordered
where ordered.started_at < ordered.previous_ends_at
order by ordered.wallet_id, ordered.rate_window_id
