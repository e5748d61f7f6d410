-- title: an email has one live user
select email, count(*) as users from "LiveUsers" where "deletedAt" is null group by email having count(*) > 1 order by email
