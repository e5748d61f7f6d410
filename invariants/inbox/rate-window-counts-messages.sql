-- title: a rate window counts exactly the messages that it admitted
-- severity: error
-- source: admitted_count is a cache of messages; who is limited was counted right
-- why: Counting too few, the limit is none; counting too many, honest messages are refused.
-- hint: A count read, increased in the application and written back, or apart from the message's transaction.
select
    rate_windows.id as rate_window_id,
    rate_windows.business_id,
    rate_windows.member_id,
    rate_windows.channel,
    rate_windows.hour,
    rate_windows.admitted_count,
    count(messages.id) as message_count
from inbox.rate_windows
left join inbox.messages on messages.rate_window_id = rate_windows.id
group by
    rate_windows.id,
    rate_windows.business_id,
    rate_windows.member_id,
    rate_windows.channel,
    rate_windows.hour,
    rate_windows.admitted_count
having rate_windows.admitted_count <> count(messages.id)
order by rate_windows.id
