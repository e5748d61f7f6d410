-- title: the statements that took the most time so far
-- source: pg_stat_statements, where it is installed and preloaded
select
    cast(statements.queryid as text)          as statement_id,
    sum(statements.calls)::bigint             as calls,
    sum(statements.total_exec_time)::float8   as total_ms,
    sum(statements.rows)::bigint              as row_count,
    left(min(statements.query), 300)          as statement
from pg_stat_statements as statements
where statements.dbid = (select oid from pg_database where datname = current_database())
  and statements.queryid is not null
group by statements.queryid
order by total_ms desc, statement_id
limit 500
