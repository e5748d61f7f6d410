-- title: the processor's session and the checkout that it was opened for name each other
-- severity: error
-- source: payments; sessions and checkouts are one to one
-- why: A payment on a page that belongs to no checkout, or to another one, begins nothing or the wrong thing.
-- hint: The checkout was rolled back after its session was opened, or the answer written to another row.
-- parameter: run_id text = null
select
    requests.run_id,
    cast(requests.answer ->> 'checkout_id' as bigint) as checkout_id,
    requests.answer ->> 'session_reference' as session_reference,
    checkouts.session_reference as checkout_session_reference,
    cast(requests.operation_id as text) as operation_id
from integrity.inbox_requests as requests
left join inbox.checkouts on checkouts.id = cast(requests.answer ->> 'checkout_id' as bigint)
where
    requests.service = 'processor'
    and requests.answer ->> 'status' = 'accepted'
    -- null in the row where the client died before it wrote the answer down
    and (checkouts.id is null or checkouts.session_reference <> requests.answer ->> 'session_reference')
    and (:run_id is null or requests.run_id = :run_id)
order by requests.requested_at, requests.number
