create table guild (
    id bigserial primary key,
    code text not null,
    settings jsonb not null default '{}',
    constraint guild_code unique (code)
);
create table member (guild_id bigint not null references guild, user_id uuid not null, primary key (guild_id, user_id));
