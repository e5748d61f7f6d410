-- title: a conversation, its customer and its member belong to one business
-- severity: error
-- source: tenant isolation
-- why: A member of one business reads and answers the customers of another.
-- hint: A customer or member looked up by address alone, or a foreign key over the business that was dropped.
select
    conversations.id as conversation_id,
    conversations.business_id,
    conversations.customer_id,
    customers.business_id as customer_business_id,
    conversations.member_id,
    members.business_id as member_business_id
from inbox.conversations
left join inbox.customers on customers.id = conversations.customer_id
left join inbox.members on members.id = conversations.member_id
where
    customers.business_id is distinct from conversations.business_id
    or members.business_id is distinct from conversations.business_id
order by conversations.id
