-- title: prepared transactions of this database that nobody has ended yet
select
    prepared.gid                                                            as name,
    prepared.owner,
    extract(epoch from clock_timestamp() - prepared.prepared)::float8       as age_s
from pg_prepared_xacts as prepared
where prepared.database = current_database()
order by prepared.prepared, prepared.gid
