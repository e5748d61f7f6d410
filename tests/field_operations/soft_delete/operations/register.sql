-- title: an email has one account that is not deleted
-- parameter email: text
-- on 23505: decline taken
select id from "Users" where email = :'email' and "deletedAt" is null;
-- decline taken if row
insert into "Users" (email) values (:'email');
