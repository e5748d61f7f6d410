-- title: take everything out
-- parameter cart_id: key of cart
begin;
delete from item where cart_id = :cart_id;
commit;
