create table wallets (
    id            bigint generated always as identity constraint pk_wallets primary key,
    owner         text not null,
    balance_minor bigint not null
);
create table entries (
    id           bigint generated always as identity constraint pk_entries primary key,
    wallet_id    bigint not null constraint fk_entries_wallet references wallets (id),
    amount_minor bigint not null
);
with opened as (
    insert into wallets (owner, balance_minor) select 'guest ' || n, 100000 from generate_series(1, 6) as n returning id
)
insert into entries (wallet_id, amount_minor) select id, 100000 from opened;
