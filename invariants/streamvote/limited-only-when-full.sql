-- title: a vote is refused for the rate limit only while its wallet's window is full
-- severity: error
-- source: the load test plan: legitimate calls are not limited
-- why: A viewer who is told to slow down, and was not fast, goes away.
-- hint: A limit counted for the address or the server and not for the wallet, or a window that does not end.
-- parameter: run_id text = null
select
    limited.wallet_id,
    limited.run_id,
    limited.client,
    limited.invoked_at,
    limited.returned_at,
    cast(limited.operation_id as text) as operation_id
from (
    select
        calls.run_id,
        calls.operation_id,
        calls.client,
        calls.invoked_at,
        calls.returned_at,
        cast(calls.arguments ->> 'wallet_id' as bigint) as wallet_id
    from integrity.streamvote_calls as calls
    where
        calls.operation = 'vote'
        and calls.outcome = 'declined'
        and calls.reply ->> 'reason' = 'rate_limited'
        and (:run_id is null or calls.run_id = :run_id)
) as limited
left join streamvote.rate_windows
    on
        rate_windows.wallet_id = limited.wallet_id
        and rate_windows.admitted_count >= rate_windows.limit_count
        and rate_windows.started_at <= coalesce(limited.returned_at, rate_windows.started_at)
        and rate_windows.ends_at >= limited.invoked_at
where rate_windows.id is null
order by limited.invoked_at, limited.operation_id
