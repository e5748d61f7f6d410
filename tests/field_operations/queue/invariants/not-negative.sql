-- title: no state below zero
select k, v from job_state where v < 0 order by k
