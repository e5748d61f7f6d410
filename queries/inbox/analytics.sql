-- title: what a business wrote and received on each channel in the last 30 days, and how much of it arrived
-- source: the messaging plan's Q4
-- parameter: business_id bigint
-- parameter: since timestamptz = now - 30 days
-- limit-ms: 1000
-- index: messages_business_id_created_at_idx
-- sample: business_id = select business_id from inbox.conversations
--     group by business_id order by count(*) desc, business_id limit 20
-- sample: since = select conversations.created_at from inbox.conversations
--     order by conversations.created_at limit 1 offset (select count(*) / 2 from inbox.conversations)
select
    conversations.channel,
    count(*) filter (where messages.direction = 'inbound') as received_count,
    count(*) filter (where messages.direction = 'outbound') as written_count,
    count(*) filter (where messages.status = 'delivered') as delivered_count,
    count(*) filter (where messages.status = 'failed') as failed_count,
    count(distinct messages.conversation_id) as conversation_count
from inbox.messages
join inbox.conversations on conversations.id = messages.conversation_id
where messages.business_id = :business_id
  and conversations.business_id = :business_id  -- as its messages', and on an index
  and messages.created_at >= :since
group by conversations.channel
order by conversations.channel
