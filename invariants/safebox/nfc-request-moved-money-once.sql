-- title: an NFC request moved its money exactly once if it was accepted, and none if it was not
-- severity: error
-- source: point of sale; a customer who taps once pays once
-- why: A request accepted twice charges a customer twice; one accepted without a payment is goods given away.
-- hint: A relay delivers an event more than once, and each delivery was answered with a payment of its own.
select
    nfc_requests.id as nfc_request_id,
    nfc_requests.wallet_id,
    nfc_requests.card_id,
    nfc_requests.amount_minor,
    nfc_requests.status,
    count(payments.id) as payment_count,
    coalesce(sum(payments.amount_minor) filter (where payments.status = 'settled'), 0) as moved_minor,
    string_agg(cast(payments.operation_id as text), ' ') as operation_ids
from safebox.nfc_requests
left join safebox.payments on payments.nfc_request_id = nfc_requests.id and payments.status <> 'failed'
group by nfc_requests.id
having
    coalesce(sum(payments.amount_minor) filter (where payments.status = 'settled'), 0)
    <> case nfc_requests.status when 'accepted' then nfc_requests.amount_minor else 0 end
    -- one that is still open may have a payment under way, but not two
    or count(payments.id) > case when nfc_requests.status in ('open', 'accepted') then 1 else 0 end
order by nfc_requests.id
