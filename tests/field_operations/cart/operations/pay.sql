-- title: look whether there is something to pay for, then what it costs
-- parameter cart_id: key of cart
-- row cart: cart(n = 0)
-- row item: item(cart_id = :cart, price = 5)
begin;
select id from item where cart_id = :cart_id;
-- decline empty unless row
select price from item where cart_id = :cart_id limit 1 \gset
update cart set n = :price where id = :cart_id;
commit;
