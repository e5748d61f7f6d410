-- title: no cart below zero
select id, n from cart where n < 0 order by id
