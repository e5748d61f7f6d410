-- title: an account's movements, oldest first
-- parameter: account_id bigint
-- sample: account_id = select id from accounts order by id limit 20
select movements.id as movement_id, movements.amount_minor
from movements
where movements.account_id = :account_id
order by movements.id
