-- title: move money from one account to another; the two are locked in the order of their ids
-- parameter payer_id: key of accounts
-- parameter payee_id: key of accounts
-- parameter amount_minor: integer 10..500 by 10
-- row payer: accounts(owner = 'Ada', balance_minor = 700)
-- row opening: movements(account_id = :payer, amount_minor = 700)
-- row payee: accounts(owner = 'Bob', balance_minor = 300)
-- row second_opening: movements(account_id = :payee, amount_minor = 300)
select :payer_id = :payee_id as is_same;
-- decline same_account if is_same
begin;
select id from accounts where id in (:payer_id, :payee_id) order by id for update;
update accounts set balance_minor = balance_minor - :amount_minor
where id = :payer_id and balance_minor >= :amount_minor returning id;
-- decline insufficient_balance unless row
update accounts set balance_minor = balance_minor + :amount_minor where id = :payee_id;
insert into movements (account_id, amount_minor, operation_id)
values (:payer_id, -:amount_minor, :'operation_id'), (:payee_id, :amount_minor, :'operation_id');
commit;
