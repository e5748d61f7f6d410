-- title: what a run of safebox was told is done, or under way, and is not done at its end
-- why: An answer is not an end: what was accepted and never ended is nobody's failed call.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'safebox' order by started_at desc limit 1
select
    'invoices that are paid and not credited' as what,
    count(*) as open_count
from integrity.safebox_calls as calls
join safebox.invoices on invoices.operation_id = calls.operation_id
where calls.run_id = :run_id and invoices.status = 'paid'
union all
select
    'payments that the mint has not ended' as what,
    count(*) as open_count
from integrity.safebox_calls as calls
join safebox.payments on payments.operation_id = calls.operation_id
where calls.run_id = :run_id and payments.status = 'processing'
union all
select
    'sales that nobody has paid yet' as what,
    count(*) as open_count
from integrity.safebox_calls as calls
join safebox.pos_sales on pos_sales.operation_id = calls.operation_id
where calls.run_id = :run_id and pos_sales.status = 'awaiting'
union all
select
    'taps without an answer' as what,
    count(*) as open_count
from integrity.safebox_calls as calls
join safebox.nfc_requests on nfc_requests.operation_id = calls.operation_id
where calls.run_id = :run_id and nfc_requests.status = 'open'
order by what
