-- title: look and take in one transaction
-- parameter wallet_id: key of wallets
-- parameter amount_minor: integer 1..80
-- stores: entries.operation_id = :operation_id at made_at
begin;
select balance_minor from wallets where id = :wallet_id \gset
-- decline insufficient_balance unless balance_minor >= :amount_minor
update wallets set balance_minor = :balance_minor - :amount_minor where id = :wallet_id;
insert into entries (wallet_id, amount_minor, operation_id) values (:wallet_id, -:amount_minor, :'operation_id');
commit;
