-- title: the newest 50 messages of a business with a text in them
-- source: the messaging plan's Q3
-- parameter: business_id bigint
-- parameter: term text
-- limit-ms: 500
-- index: messages_business_id_created_at_idx
-- sample: business_id = select business_id from inbox.conversations
--     group by business_id order by count(*) desc, business_id limit 20
-- sample: term = select terms.term
--     from (select 'refund' as term union all select 'no such thing' union all select 'Tuesday') as terms
select
    messages.id as message_id,
    messages.conversation_id,
    messages.direction,
    messages.body,
    messages.created_at
from inbox.messages
where messages.business_id = :business_id and messages.body ilike '%' || :term || '%'
order by messages.created_at desc, messages.id desc
limit 50
