-- title: who waits for a lock of whom, on what and for how long, one row a waiter and blocker
-- source: pg_locks and pg_blocking_pids, which stops the lock manager for a moment: to be asked only while somebody waits.
with locks as materialized (
    select
        locks.pid,
        locks.locktype,
        locks.relation,
        locks.mode,
        locks.waitstart,
        locks.granted
    from pg_locks as locks
    where locks.database is null or locks.database in (0, (select oid from pg_database where datname = current_database()))
),

names as (
    select
        tables.oid,
        tables.relkind,
        namespaces.nspname || '.' || tables.relname as table_name
    from pg_class as tables
    join pg_namespace as namespaces on namespaces.oid = tables.relnamespace
),

waiters as (
    select
        activity.pid,
        unnest(pg_blocking_pids(activity.pid)) as blocker,
        activity.query_start,
        activity.application_name,
        activity.query
    from pg_stat_activity as activity
    where activity.wait_event_type = 'Lock' and activity.datname = current_database()
)

select distinct
    waiters.pid,
    waiters.blocker,
    wanted.locktype,
    wanted.mode,
    cast(
        coalesce(
            -- with its schema; a cast to regclass leaves that out where the search path has it
            (select names.table_name from names where names.oid = coalesce(wanted.relation, own_tuple.relation)),
            -- Waiting for another's transaction to end, with no row in hand (a unique key, a foreign key): where both write.
            (
                select string_agg(distinct names.table_name, ', ')
                from locks as mine
                join locks as theirs on theirs.relation = mine.relation and theirs.pid = waiters.blocker
                join names on names.oid = mine.relation and names.relkind in ('r', 'p')
                where mine.pid = waiters.pid
                  and mine.mode in ('RowExclusiveLock', 'RowShareLock')
                  and theirs.mode in ('RowExclusiveLock', 'RowShareLock')
            )
        ) as text
    )                                                                       as relation,
    greatest(extract(epoch from clock_timestamp() - coalesce(wanted.waitstart, waiters.query_start)), 0)::float8
                                                                            as waited_s,
    waiters.application_name                                                as waiter,
    left(waiters.query, 200)                                                as statement,
    blockers.application_name                                               as blocker_name,
    blockers.state                                                          as blocker_state,
    left(blockers.query, 200)                                               as blocker_statement,
    extract(epoch from clock_timestamp() - blockers.xact_start)::float8     as blocker_transaction_s
from waiters
left join locks as wanted on wanted.pid = waiters.pid and not wanted.granted
left join locks as own_tuple on own_tuple.pid = waiters.pid and own_tuple.locktype = 'tuple' and own_tuple.granted
left join pg_stat_activity as blockers on blockers.pid = waiters.blocker
order by waited_s desc, waiters.pid, waiters.blocker
limit 100
