-- title: nothing comes from nowhere
select 'all' as accounts, sum("BALANCE") as total from "L_ACCOUNTS" having sum("BALANCE") % 1000 <> 0
