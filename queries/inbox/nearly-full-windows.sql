-- title: the rate windows of this hour that have less than a tenth of their limit left
-- why: A run that has little to send is refused in them for what was sent before.
-- parameter: now timestamptz = now
select
    rate_windows.hour,
    rate_windows.member_id,
    rate_windows.channel
from inbox.rate_windows
where
    rate_windows.hour = to_char(:now, 'YYYY-MM-DD HH24')
    and rate_windows.admitted_count * 10 > rate_windows.limit_count * 9
order by rate_windows.member_id, rate_windows.channel
