create table wallets (id integer primary key, balance_minor integer not null check (balance_minor >= 0));
create table entries (
    id integer primary key,
    wallet_id integer not null references wallets,
    amount_minor integer not null,
    operation_id text not null,
    made_at text not null default current_timestamp
);
create index entries_wallet on entries (wallet_id);
