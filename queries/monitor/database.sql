-- title: what this database has done so far, in one row of counters
-- source: pg_stat_database. A session reports what it did at most once a second, and when it idles up to 10 s late. The
--   log's position has no such delay, and unlike pg_stat_wal exists in every version and on a standby.
select
    counters.xact_commit   as commits,
    counters.xact_rollback as rollbacks,
    counters.deadlocks,
    counters.conflicts,
    counters.blks_hit      as blocks_hit,
    counters.blks_read     as blocks_read,
    counters.tup_returned  as rows_read,
    counters.tup_fetched   as rows_fetched,
    counters.tup_inserted  as rows_inserted,
    counters.tup_updated   as rows_updated,
    counters.tup_deleted   as rows_deleted,
    counters.temp_bytes,
    pg_wal_lsn_diff(
        case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, '0/0'
    )::bigint              as wal_bytes
from pg_stat_database as counters
where counters.datname = current_database()
