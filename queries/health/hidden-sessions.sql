-- title: how many sessions of this database this role may not look at
select count(*) as sessions
from pg_stat_activity as sessions
where sessions.datname = current_database()
  and sessions.pid <> pg_backend_pid()
  and sessions.usesysid is not null  -- the server's own workers have none
  and sessions.query = '<insufficient privilege>'
