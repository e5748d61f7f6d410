create table "L_ACCOUNTS" (
    "ACCOUNT_ID" serial primary key,
    "NAME" varchar(255) unique,
    "BALANCE" numeric(32, 16) not null default 0
);
