-- title: count b, then a
begin;
insert into job_state values ('b', 1) on conflict (k) do update set v = job_state.v + 1;
insert into job_state values ('a', 1) on conflict (k) do update set v = job_state.v + 1;
commit;
