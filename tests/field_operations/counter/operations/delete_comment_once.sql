-- title: the same, where only who took the comment away counts
-- parameter comment_id: key of comments
-- row thread: threads(title = 'first', comments_count = 1)
-- row comment: comments(thread_id = :thread)
begin;
delete from comments where id = :comment_id returning thread_id \gset
-- decline gone unless row
update threads set comments_count = comments_count - 1 where id = :thread_id;
commit;
