-- title: whether amcheck can be asked here: where it is installed, whether this role may call it, whether we may install it
select
    (
        select format('%I', namespaces.nspname)
        from pg_extension as extensions
        join pg_namespace as namespaces on namespaces.oid = extensions.extnamespace
        where extensions.extname = 'amcheck'
    )                                                as schema_name,
    exists (select from pg_available_extensions as available where available.name = 'amcheck') as is_available,
    (
        select bool_or(has_function_privilege(functions.oid, 'execute'))
        from pg_proc as functions
        join pg_depend as parts on parts.classid = 'pg_proc'::regclass and parts.objid = functions.oid and parts.deptype = 'e'
        join pg_extension as extensions on extensions.oid = parts.refobjid and parts.refclassid = 'pg_extension'::regclass
        where extensions.extname = 'amcheck'
          and functions.proname = 'bt_index_check'
          and functions.pronargs = 2
    )                                                as may_execute,
    -- as an audit knows the server of ours, in which no one else's database is
    current_setting('listen_addresses') = '' and current_user = 'integrity' as is_embedded,
    current_user::text                               as role_name
