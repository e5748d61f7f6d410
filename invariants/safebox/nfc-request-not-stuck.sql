-- title: no NFC request stays open for longer than 15 minutes after its time
-- severity: error
-- source: point of sale; a tap is answered, or it expires
-- why: The merchant does not know whether the customer has paid.
-- hint: A relay that dropped the request, or a payment that stays processing: is somebody polling or sweeping this wallet?
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    nfc_requests.id as nfc_request_id,
    nfc_requests.wallet_id,
    nfc_requests.card_id,
    nfc_requests.amount_minor,
    nfc_requests.expires_at,
    nfc_requests.answered_at,
    cast(nfc_requests.operation_id as text) as operation_id
from safebox.nfc_requests
where nfc_requests.status = 'open' and nfc_requests.expires_at < :stuck_before
order by nfc_requests.id
