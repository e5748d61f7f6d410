-- title: the next number is one more than the greatest
-- reply: number
begin;
select coalesce(max(number), 0) + 1 as number from inv where issuer = 3 and kind = 1 \gset
insert into inv (issuer, kind, issued, number, full_number)
values (3, 1, '2024-05-05', :number, format('%s/FV/2024', :number));
commit;
