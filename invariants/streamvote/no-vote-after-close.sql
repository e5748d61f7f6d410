-- title: a closed event takes no vote
-- severity: error
-- source: the rules of the vote; sequence is the order in which things happened to an event
-- why: A vote that came too late and counts changes a result that was announced.
-- hint: The event's status was read before the lock that close_event takes, and not looked at again under it.
select
    late.id as event_update_id,
    late.live_event_id,
    late.sequence,
    closing.sequence as closed_sequence,
    late.vote_id,
    closing.sent_at as closed_at,
    cast(late.operation_id as text) as operation_id
from streamvote.event_updates as closing
join streamvote.event_updates as late
    on late.live_event_id = closing.live_event_id and late.sequence > closing.sequence
where closing.kind = 'closed'
order by late.id
