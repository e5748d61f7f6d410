-- title: no rate window admits more than its limit
-- severity: error
-- source: the rate limit: 1,000 messages an hour for each member and channel
-- why: The provider throttles or blocks the sender's number, for everybody.
-- hint: The count was read and compared in one statement and increased in another.
select
    rate_windows.id as rate_window_id,
    rate_windows.business_id,
    rate_windows.member_id,
    rate_windows.channel,
    rate_windows.hour,
    rate_windows.admitted_count,
    rate_windows.limit_count
from inbox.rate_windows
where rate_windows.admitted_count > rate_windows.limit_count
order by rate_windows.id
