-- title: a rate window belongs to the business of its member
-- severity: error
-- source: tenant isolation
-- why: What one business sends uses up the limit of another.
-- hint: The business was taken from the request, or a foreign key over both was dropped.
select
    rate_windows.id as rate_window_id,
    rate_windows.business_id,
    rate_windows.member_id,
    members.business_id as member_business_id
from inbox.rate_windows
left join inbox.members on members.id = rate_windows.member_id
where members.business_id is distinct from rate_windows.business_id
order by rate_windows.id
