-- title: the taps of a run on valid cards, and when each was accepted
-- why: A tap that is taken and never answered is no success, however fast it was taken.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'safebox' order by started_at desc limit 1
select
    cast(taps.operation_id as text) as operation_id,
    taps.intended_at as began_at,
    case
        when max(nfc_requests.status) = 'accepted' then coalesce(min(answers.returned_at), max(nfc_requests.answered_at))
    end as reached_at
from integrity.safebox_calls as taps
join safebox.cards on cards.id = cast(taps.arguments ->> 'card_id' as bigint)
left join safebox.nfc_requests on nfc_requests.operation_id = taps.operation_id
left join integrity.safebox_calls as answers
    on
        answers.run_id = taps.run_id
        and answers.operation = 'answer_nfc_request'
        and answers.outcome = 'ok'
        and cast(answers.arguments ->> 'nfc_request_id' as bigint) = nfc_requests.id
where
    taps.run_id = :run_id
    and taps.operation = 'request_nfc_payment'
    and cards.status = 'active'
    -- what is declined, then or when the card's wallet is asked, is a right answer; who was made to die tapped for nobody
    and taps.outcome <> 'declined'
    and coalesce(nfc_requests.status, 'open') <> 'rejected'
    and taps.error not like 'abandoned:%'
group by taps.operation_id, taps.intended_at
order by taps.intended_at, taps.operation_id
