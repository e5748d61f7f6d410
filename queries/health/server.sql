-- title: what a run will find of a server: version, rights, room and what its commits are worth
select
    current_setting('server_version')                      as version,
    cast(current_setting('server_version_num') as integer) / 10000 as version_major,
    pg_is_in_recovery()                                    as is_standby,
    current_setting('transaction_read_only') = 'on'        as is_read_only,
    has_database_privilege(current_database(), 'create')   as may_create,
    pg_has_role(current_user, 'pg_read_all_stats', 'usage') as can_see_all,
    cast(current_setting('max_connections') as integer)
    - cast(current_setting('superuser_reserved_connections') as integer)
    - coalesce(cast(current_setting('reserved_connections', true) as integer), 0) as slots,
    (
        select count(*)
        from pg_stat_activity as sessions
        where coalesce(sessions.backend_type, 'client backend') = 'client backend'
          and sessions.usesysid is not null
          and sessions.pid <> pg_backend_pid()
    )                                                      as slots_used,
    (
        select count(*)
        from pg_stat_activity as sessions
        where sessions.backend_type = 'client backend' and sessions.state = 'idle' and sessions.pid <> pg_backend_pid()
    )                                                      as slots_idle,
    current_setting('synchronous_commit')                  as synchronous_commit,
    current_setting('fsync')                               as fsync,
    current_setting('full_page_writes')                    as full_page_writes,
    pg_database_size(current_database())                   as size_bytes,
    host(inet_server_addr())                               as address,
    -- hidden from those who may not know where the server keeps its files
    (select settings.setting from pg_settings as settings where settings.name = 'data_directory') as data_folder
