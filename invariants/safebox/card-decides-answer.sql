-- title: a card that is active is never refused for its state, and one that was revoked or has expired always, by that name
-- severity: error
-- source: point of sale; a tap is accepted or refused deterministically, and asked beforehand the card says the same
-- why: A lost card that pays is somebody's money; a good one that is refused is a customer who leaves.
-- hint: A check of the card that asks for one state and not for the others, or that one way of using it does not make.
-- parameter: run_id text = null
select
    calls.operation,
    cards.id as card_id,
    cards.wallet_id,
    cards.status,
    calls.outcome,
    calls.reply ->> 'reason' as reason,
    calls.run_id,
    cast(calls.operation_id as text) as operation_id
from integrity.safebox_calls as calls
-- no operation changes a card, so it was then what it is now
join safebox.cards on cards.id = cast(calls.arguments ->> 'card_id' as bigint)
where
    calls.operation in ('check_card', 'request_nfc_payment', 'pay_to_nfc_tag', 'tap_sale')
    and calls.outcome in ('ok', 'declined')
    and (:run_id is null or calls.run_id = :run_id)
    and case
        when cards.status = 'active' then coalesce(calls.reply ->> 'reason', '') in ('card_revoked', 'card_expired')
        else coalesce(calls.reply ->> 'reason', '') <> 'card_' || cards.status
    end
order by calls.invoked_at, calls.operation_id
