-- title: sessions of this database that hold something open: a transaction, or a wait for a lock
select
    sessions.pid,
    coalesce(sessions.application_name, '')                                    as application,
    sessions.state,
    sessions.wait_event_type is not distinct from 'Lock'                       as is_blocked,
    extract(epoch from clock_timestamp() - sessions.xact_start)::float8        as transaction_s,
    extract(epoch from clock_timestamp() - sessions.state_change)::float8      as state_s,
    left(sessions.query, 200)                                                  as statement
from pg_stat_activity as sessions
where sessions.datname = current_database()
  and sessions.pid <> pg_backend_pid()
  and sessions.backend_type = 'client backend'
  and sessions.xact_start is not null
  -- a run's hold on the database, behind a pooler: a transaction that reads nothing and locks no row
  and not (coalesce(sessions.application_name, '') like 'integrity, %' and sessions.state = 'idle in transaction')
order by sessions.xact_start, sessions.pid
