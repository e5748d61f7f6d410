-- title: what each kind of server process has read and written so far, in blocks
-- source: pg_stat_io, PostgreSQL 16 and newer
select
    counters.backend_type,
    sum(coalesce(counters.reads, 0))::bigint   as reads,
    sum(coalesce(counters.writes, 0))::bigint  as writes,
    sum(coalesce(counters.extends, 0))::bigint as extends,
    sum(coalesce(counters.fsyncs, 0))::bigint  as fsyncs
from pg_stat_io as counters
group by counters.backend_type
having sum(coalesce(counters.reads, 0) + coalesce(counters.writes, 0) + coalesce(counters.extends, 0)) > 0
order by counters.backend_type
