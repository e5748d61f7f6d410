-- title: a doctor is on duty
-- severity: error
select count(*) as doctors
from doctors
having not bool_or(is_on_duty)
