-- title: a number is given once
select issuer, kind, number, count(*) as invoices
from inv
group by issuer, kind, number
having count(*) > 1
order by issuer, kind, number
