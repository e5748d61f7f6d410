-- title: a business's messages are numbered 1, 2, 3, ... up to its count, but for those that are older than numbers
-- severity: error
-- source: realtime; who listens to a business goes on after the last number seen
-- why: A number that is missing is waited for, or a message that was told is not there.
-- hint: A number taken in another transaction than its message, or a message deleted without its number.
select
    businesses.id as business_id,
    businesses.message_sequence,
    count(messages.id) as message_count,
    max(messages.sequence) as newest_sequence
from inbox.businesses
left join inbox.messages on messages.business_id = businesses.id and messages.sequence is not null
group by businesses.id, businesses.message_sequence
having count(messages.id) <> businesses.message_sequence or coalesce(max(messages.sequence), 0) <> businesses.message_sequence
order by businesses.id
