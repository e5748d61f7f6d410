-- title: the invoices of which the mint told a run that they were paid, and when each was to be seen as credited
-- why: A merchant who does not see the payment asks for it again.
-- parameter: run_id text
-- sample: run_id = select run_id from integrity.runs where system = 'safebox' order by started_at desc limit 1
select
    invoices.id as invoice_id,
    min(told.intended_at) as began_at,
    case
        when invoices.status = 'credited' then min(case when told.outcome in ('ok', 'declined') then told.returned_at end)
    end as reached_at
from integrity.safebox_calls as told
join safebox.invoices on invoices.id = cast(told.arguments ->> 'invoice_id' as bigint)
where told.run_id = :run_id and told.operation = 'confirm_invoice'
group by invoices.id, invoices.status
order by began_at, invoices.id
