-- title: a key charges once
select merchant_id, idem_key, count(*) as charges
from charge
group by merchant_id, idem_key
having count(*) > 1
order by merchant_id, idem_key
