-- title: the payment of an NFC request goes from its card's wallet to the wallet that asked, for the amount asked
-- severity: error
-- source: point of sale; what the customer saw is what was paid, and to whom
-- why: Money of somebody else, or for somebody else, was moved by a tap.
-- hint: Wallet or amount taken from the event that the relay delivered, and not from the request that was stored.
select
    payments.id as payment_id,
    payments.nfc_request_id,
    payments.wallet_id,
    cards.wallet_id as card_wallet_id,
    payments.payee_wallet_id,
    nfc_requests.wallet_id as requested_by_wallet_id,
    payments.amount_minor,
    nfc_requests.amount_minor as requested_minor,
    cast(payments.operation_id as text) as operation_id
from safebox.payments
left join safebox.nfc_requests on nfc_requests.id = payments.nfc_request_id
left join safebox.cards on cards.id = nfc_requests.card_id
where
    payments.nfc_request_id is not null
    and (
        payments.wallet_id is distinct from cards.wallet_id
        or payments.payee_wallet_id is distinct from nfc_requests.wallet_id
        or payments.amount_minor is distinct from nfc_requests.amount_minor
    )
order by payments.id
