-- title: the next number is taken from a row of its own
-- row last: last_number(issuer = 3, last = 0)
-- reply: number
begin;
update last_number set last = last + 1 where issuer = 3 returning last as number \gset
insert into inv (issuer, kind, issued, number, full_number)
values (3, 1, '2024-05-05', :number, format('%s/FV/2024', :number));
commit;
