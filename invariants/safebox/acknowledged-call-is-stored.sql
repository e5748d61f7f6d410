-- title: what a client was told has happened is in the database
-- severity: error
-- source: durability; an answer of ok is a promise
-- why: The owner saw "paid", and nothing remembers it.
-- hint: An answer given before the commit, synchronous_commit switched off, or a restore from an old backup.
-- parameter: run_id text = null
select
    calls.run_id,
    calls.operation,
    calls.client,
    calls.arguments,
    calls.reply,
    calls.returned_at,
    cast(calls.operation_id as text) as operation_id
from integrity.safebox_calls as calls
left join safebox.invoices as created
    on created.operation_id = calls.operation_id and calls.operation in ('create_invoice', 'create_pos_sale')
left join safebox.pos_sales on pos_sales.operation_id = calls.operation_id
left join safebox.nfc_requests on nfc_requests.operation_id = calls.operation_id
left join safebox.invoices as confirmed
    on confirmed.confirmed_by = calls.operation_id
    and (calls.reply ->> 'status' = 'paid' or confirmed.status = 'credited')
-- a retry is answered with the payment that an earlier call made, so the reply names it
left join safebox.payments
    on payments.id = cast(calls.reply ->> 'payment_id' as bigint)
    and (calls.reply ->> 'status' = 'processing' or payments.status = 'settled')
where
    calls.outcome = 'ok'
    and calls.run_id = coalesce(:run_id, calls.run_id)
    and case
        when calls.operation = 'create_invoice' then created.id
        when calls.operation = 'create_pos_sale' then created.id + pos_sales.id
        when calls.operation = 'confirm_invoice' then confirmed.id
        when calls.operation = 'request_nfc_payment' then nfc_requests.id
        when calls.operation in ('pay_invoice', 'pay_address', 'pay_to_nfc_tag', 'answer_nfc_request') then payments.id
        else 0
    end is null
order by calls.returned_at, calls.operation_id
