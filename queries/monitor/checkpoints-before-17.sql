-- title: checkpoints so far: those of the clock, and those that something asked for, e.g. a log that filled up
-- source: pg_stat_bgwriter, where PostgreSQL counted them up to 16
select
    counters.checkpoints_timed as timed,
    counters.checkpoints_req   as requested
from pg_stat_bgwriter as counters
