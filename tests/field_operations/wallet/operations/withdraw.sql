-- title: look first, and begin the transaction behind it
-- parameter wallet_id: key of wallets
-- parameter amount_minor: integer 1..80
-- row wallet: wallets(balance_minor = 100)
-- row opening: entries(wallet_id = :wallet, amount_minor = 100, operation_id = 'opening')
-- stores: entries.operation_id = :operation_id at made_at
select balance_minor from wallets where id = :wallet_id \gset
-- decline insufficient_balance unless balance_minor >= :amount_minor
begin;
update wallets set balance_minor = :balance_minor - :amount_minor where id = :wallet_id;
insert into entries (wallet_id, amount_minor, operation_id) values (:wallet_id, -:amount_minor, :'operation_id');
commit;
