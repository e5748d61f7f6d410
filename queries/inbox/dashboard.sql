-- title: the newest 50 conversations of a business, as its dashboard shows them
-- source: the messaging plan's Q1
-- parameter: business_id bigint
-- limit-ms: 50
-- index: conversations_business_id_last_message_at_idx
-- sample: business_id = select business_id from inbox.conversations
--     group by business_id order by count(*) desc, business_id limit 20
select
    conversations.id as conversation_id,
    conversations.channel,
    -- by its key, row by row: a join of 50 rows reads all customers of a business with few instead
    (select customers.name from inbox.customers where customers.id = conversations.customer_id) as customer,
    conversations.unread_count,
    conversations.last_message_at
from inbox.conversations
where conversations.business_id = :business_id
order by conversations.last_message_at desc, conversations.id desc
limit 50
