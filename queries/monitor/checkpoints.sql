-- title: checkpoints so far: those of the clock, and those that something asked for, e.g. a log that filled up
-- source: pg_stat_checkpointer, PostgreSQL 17 and newer
select
    counters.num_timed     as timed,
    counters.num_requested as requested
from pg_stat_checkpointer as counters
