create table sessions (sid varchar(255) primary key, sess json not null, expired timestamptz not null);
create index sessions_expired on sessions (expired);
