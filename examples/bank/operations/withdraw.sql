-- title: take money out: look whether there is enough, then write what is left
-- parameter account_id: key of accounts
-- parameter amount_minor: integer 10..500 by 10
-- row account: accounts(owner = 'Ada', balance_minor = 700)
-- row opening: movements(account_id = :account, amount_minor = 700)
-- stores: movements.operation_id = :operation_id at made_at
begin;
select balance_minor from accounts where id = :account_id \gset
-- decline insufficient_balance unless balance_minor >= :amount_minor
insert into movements (account_id, amount_minor, operation_id) values (:account_id, -:amount_minor, :'operation_id');
update accounts set balance_minor = :balance_minor - :amount_minor where id = :account_id;
commit;
