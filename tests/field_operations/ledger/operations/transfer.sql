-- title: hold ten of an account
-- parameter account: key of (select "ACCOUNT_ID" from "L_ACCOUNTS" where "NAME" <> 'hold')
-- row hold: "L_ACCOUNTS"("NAME" = 'hold', "BALANCE" = 0)
-- row one: "L_ACCOUNTS"("NAME" = 'one', "BALANCE" = 1000)
-- row two: "L_ACCOUNTS"("NAME" = 'two', "BALANCE" = 1000)
-- on 40001: decline insufficient_funds
begin isolation level serializable;
select "BALANCE" as balance from "L_ACCOUNTS" where "ACCOUNT_ID" = :account;
-- decline insufficient_funds unless balance >= 10
update "L_ACCOUNTS" set "BALANCE" = "BALANCE" - 10 where "ACCOUNT_ID" = :account;
update "L_ACCOUNTS" set "BALANCE" = "BALANCE" + 10 where "NAME" = 'hold';
commit;
