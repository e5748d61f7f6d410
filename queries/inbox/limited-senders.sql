-- title: the rate windows that were used up, newest first
select
    rate_windows.hour,
    rate_windows.business_id,
    rate_windows.member_id,
    rate_windows.channel,
    rate_windows.admitted_count,
    rate_windows.limit_count
from inbox.rate_windows
where rate_windows.admitted_count >= rate_windows.limit_count
order by rate_windows.hour desc, rate_windows.id desc
