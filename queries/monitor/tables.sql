-- title: scans and changes of each table so far, the busiest first
select
    counters.schemaname || '.' || counters.relname as table_name,
    counters.seq_scan                              as sequential_scans,
    counters.seq_tup_read                          as sequential_rows,
    coalesce(counters.idx_scan, 0)                 as index_scans,
    counters.n_tup_ins                             as rows_inserted,
    counters.n_tup_upd                             as rows_updated,
    counters.n_tup_hot_upd                         as rows_updated_hot,
    counters.n_tup_del                             as rows_deleted,
    counters.n_live_tup                            as rows_live,
    counters.n_dead_tup                            as rows_dead
from pg_stat_user_tables as counters
order by
    counters.seq_tup_read + coalesce(counters.idx_tup_fetch, 0)
    + counters.n_tup_ins + counters.n_tup_upd + counters.n_tup_del desc,
    table_name
limit 300
