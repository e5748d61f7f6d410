"""PostgreSQL's own functions that a reader may call although they are volatile, and may not although they are not.

Reviewed one by one, on the catalogues of PostgreSQL 13 to 18. Volatile ones are refused unless they are named here; the
others are trusted unless they are. A session, a sequence, a lock, a slot, a file, a setting, the statistics, the log, the
number of a transaction: what changes one of them acts, what only looks at it does not. What runs a text as SQL is refused
as well: nobody can tell from outside what it does. And `setseed`: what it sets outlives the transaction, and a pooler would
hand the session with it to its next client.
"""

_LOOK = """
    array_sample array_shuffle bernoulli clock_timestamp current_query gen_random_uuid random random_normal system
    timeofday uuidv4 uuidv7

    pg_blocking_pids pg_collation_actual_version pg_control_checkpoint pg_control_init pg_control_recovery
    pg_control_system pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn
    pg_database_collation_actual_version pg_database_size pg_get_aios pg_get_backend_memory_contexts
    pg_get_loaded_modules pg_get_multixact_members pg_get_sequence_data pg_get_shmem_allocations
    pg_get_shmem_allocations_numa pg_get_wait_events pg_get_wal_replay_pause_state pg_get_wal_resource_managers
    pg_get_wal_summarizer_state pg_indexes_size pg_is_in_backup pg_is_in_recovery pg_is_wal_replay_paused
    pg_isolation_test_session_is_blocked pg_jit_available pg_last_committed_xact pg_last_wal_receive_lsn
    pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_lock_status pg_notification_queue_usage
    pg_partition_ancestors pg_partition_tree pg_prepared_xact pg_relation_size pg_replication_origin_progress
    pg_replication_origin_session_is_setup pg_replication_origin_session_progress pg_safe_snapshot_blocking_pids
    pg_sequence_last_value pg_show_replication_origin_status pg_stat_get_backend_io pg_stat_get_backend_wal
    pg_stat_get_io pg_stat_get_recovery_prefetch pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit
    pg_stat_get_xact_function_calls pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time
    pg_stat_get_xact_numscans pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched
    pg_stat_get_xact_tuples_hot_updated pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_newpage_updated
    pg_stat_get_xact_tuples_returned pg_stat_get_xact_tuples_updated pg_stat_have_stats pg_table_size pg_tablespace_size
    pg_total_relation_size pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_xact_status txid_status
"""
VOLATILE_AND_HARMLESS = frozenset(_LOOK.split())

# The first two give the transaction a number, for good; the others read whatever view they are given the name of.
_ACT = """
    pg_current_xact_id txid_current
    database_to_xml database_to_xml_and_xmlschema database_to_xmlschema schema_to_xml schema_to_xml_and_xmlschema
    schema_to_xmlschema table_to_xml table_to_xml_and_xmlschema table_to_xmlschema
"""
STABLE_AND_NOT_HARMLESS = frozenset(_ACT.split())

CONVERTERS = frozenset({"pg_input_error_info", "pg_input_is_valid"})
"""What converts a text into a type by its name, and with it runs what a domain checks: as harmless as every domain is."""

HARMLESS_OF_EXTENSIONS = frozenset(
    {
        ("pg_stat_statements", "pg_stat_statements"),
        ("pg_stat_statements", "pg_stat_statements_info"),
        ("pgcrypto", "gen_random_bytes"),
        ("pgcrypto", "gen_random_uuid"),
        ("pgcrypto", "gen_salt"),
        ("tablefunc", "normal_rand"),
        ("uuid-ossp", "uuid_generate_v1"),
        ("uuid-ossp", "uuid_generate_v1mc"),
        ("uuid-ossp", "uuid_generate_v4"),
    }
)
"""(extension, function): volatile, and it only looks or draws."""

REFUSED_OF_EXTENSIONS = frozenset(
    {("dblink", ""), ("tablefunc", "connectby"), ("tablefunc", "crosstab"), ("xml2", "xpath_table")}
    | {("tablefunc", f"crosstab{number}") for number in (2, 3, 4)}
)
"""(extension, function; empty: all of it): it says that it is stable, and runs a text as SQL."""
