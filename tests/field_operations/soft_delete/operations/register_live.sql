-- title: an email has one account that is not deleted
-- parameter email: text
-- on 23505: decline taken
select id from "LiveUsers" where email = :'email' and "deletedAt" is null;
-- decline taken if row
insert into "LiveUsers" (email) values (:'email');
