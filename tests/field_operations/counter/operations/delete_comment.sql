-- title: take a comment away, and one off its thread's count
-- parameter comment_id: key of comments
-- row thread: threads(title = 'first', comments_count = 1)
-- row comment: comments(thread_id = :thread)
begin;
select thread_id from comments where id = :comment_id \gset
-- decline gone unless row
delete from comments where id = :comment_id;
update threads set comments_count = comments_count - 1 where id = :thread_id;
commit;
