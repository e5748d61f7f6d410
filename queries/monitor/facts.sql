-- title: what a monitor has to know of a server before it samples it, in one row
select
    current_setting('server_version')                as version,
    cast(current_setting('server_version_num') as integer) / 10000
                                                     as version_major,
    current_database()                               as database,
    cast(current_setting('max_connections') as integer) as max_connections,
    cast(current_setting('superuser_reserved_connections') as integer)
    -- from PostgreSQL 16 on some can be kept for a role, too
    + coalesce(cast(current_setting('reserved_connections', true) as integer), 0) as reserved_connections,
    (
        select cast(settings.setting as integer)
        from pg_settings as settings
        where settings.name = 'deadlock_timeout'
    )                                                as deadlock_timeout_ms,
    pg_is_in_recovery()                              as is_standby,
    pg_has_role(current_user, 'pg_read_all_stats', 'usage') as can_see_all,
    host(inet_server_addr())                         as address,
    pg_backend_pid()                                 as backend_pid,
    (
        select extract(epoch from sessions.backend_start)::float8
        from pg_stat_activity as sessions
        where sessions.pid = pg_backend_pid()
    )                                                as backend_started_s,
    (
        select namespaces.nspname
        from pg_extension as extensions
        join pg_namespace as namespaces on namespaces.oid = extensions.extnamespace
        where extensions.extname = 'pg_stat_statements'
    )                                                as statements_schema
