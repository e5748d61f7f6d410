-- title: how many sessions there are, what they do and how long, in one row
-- source: pg_stat_activity. All databases of a server share max_connections; the rest is of this database. A role without
--   pg_read_all_stats sees that others' sessions exist and not what they do: those are counted as hidden.
select
    count(*)                                                                     as connections,
    count(*) filter (where sessions.is_here)                                     as connections_here,
    count(*) filter (where sessions.is_here and sessions.state = 'active')       as active,
    count(*) filter (where sessions.is_here and sessions.state like 'idle in transaction%') as idle_in_transaction,
    count(*) filter (where sessions.is_here and sessions.state <> 'idle')        as busy,
    count(*) filter (where sessions.is_here and sessions.wait_event_type = 'Lock') as lock_waiters,
    count(*) filter (where sessions.is_hidden)                                   as hidden,
    coalesce(
        max(extract(epoch from clock_timestamp() - sessions.state_change))
            filter (where sessions.is_here and sessions.state like 'idle in transaction%'),
        0
    )::float8                                                                    as longest_idle_in_transaction_s,
    coalesce(
        max(extract(epoch from clock_timestamp() - sessions.xact_start)) filter (where sessions.is_here),
        0
    )::float8                                                                    as oldest_transaction_s,
    coalesce(max(age(sessions.backend_xmin)), 0)                                 as oldest_snapshot_transactions,
    (select count(*) from pg_prepared_xacts as prepared where prepared.database = current_database()) as prepared
from (
    select
        activity.datname is not distinct from current_database() as is_here,
        activity.backend_type is null                            as is_hidden,
        case when activity.is_hold then 'idle' else activity.state end as state,
        activity.wait_event_type,
        activity.state_change,
        case when not activity.is_hold then activity.xact_start end as xact_start,
        activity.backend_xmin
    from (
        select
            sessions.*,
            -- a run's hold on the database: behind a pooler a transaction that reads nothing and locks no row
            coalesce(sessions.application_name like 'integrity, %' and sessions.state = 'idle in transaction', false) as is_hold
        from pg_stat_activity as sessions
    ) as activity
    where activity.pid <> pg_backend_pid()
      -- a hidden session has no type; the server's own processes have no user
      and coalesce(activity.backend_type, 'client backend') = 'client backend'
      and activity.usesysid is not null
) as sessions
