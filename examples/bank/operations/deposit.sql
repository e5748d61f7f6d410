-- title: pay money in
-- parameter account_id: key of accounts
-- parameter amount_minor: integer 10..500 by 10
-- stores: movements.operation_id = :operation_id at made_at
-- reply: balance_minor
begin;
insert into movements (account_id, amount_minor, operation_id) values (:account_id, :amount_minor, :'operation_id');
update accounts set balance_minor = balance_minor + :amount_minor where id = :account_id returning balance_minor \gset
commit;
