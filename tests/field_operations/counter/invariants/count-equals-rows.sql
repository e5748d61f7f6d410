-- title: a thread's count is that of its comments
select threads.id, threads.comments_count, count(comments.id) as comments
from threads
left join comments on comments.thread_id = threads.id
group by threads.id, threads.comments_count
having threads.comments_count <> count(comments.id)
order by threads.id
