-- Forty accounts, each opened with 1,000.
insert into accounts (owner, balance_minor) select 'owner ' || n, 1000 from generate_series(1, 40) as n;
insert into movements (account_id, amount_minor, operation_id, made_at)
select id, balance_minor, gen_random_uuid(), now() - interval '1 day' from accounts;
