-- title: the size of this database on disk
select pg_database_size(current_database()) as size_bytes
