-- title: a message was admitted by the rate window of its conversation's member and channel
-- severity: error
-- source: the rate limit; nobody sends at another's expense
-- why: Who sends under somebody else's window has no limit, and the other has none left.
-- hint: The window was taken from the request, or is kept when the conversation goes to another member.
select
    messages.id as message_id,
    messages.conversation_id,
    messages.rate_window_id,
    rate_windows.member_id,
    conversations.member_id as conversation_member_id,
    rate_windows.channel,
    conversations.channel as conversation_channel,
    cast(messages.operation_id as text) as operation_id
from inbox.messages
left join inbox.rate_windows on rate_windows.id = messages.rate_window_id
left join inbox.conversations on conversations.id = messages.conversation_id
where
    messages.direction = 'outbound'
    and (
        rate_windows.member_id is distinct from conversations.member_id
        or rate_windows.channel is distinct from conversations.channel
    )
order by messages.id
