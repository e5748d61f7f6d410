-- title: at most one vote in a hundred of a run is refused for the rate limit
-- severity: error
-- source: the load test plan: at most 1% rate-limit errors under configured thresholds
-- why: Limits that ordinary viewers run into are set too low, or counted wrong.
-- hint: Retries that are counted again, or few wallets for many clients. A hammer does it on purpose, and is left out.
-- parameter: run_id text = null
select
    answered.run_id,
    answered.vote_count,
    answered.limited_count
from (
    select
        runs.run_id,
        count(*) as vote_count,
        count(*) filter (where calls.reply ->> 'reason' = 'rate_limited') as limited_count
    from integrity.runs
    join integrity.calls on calls.run_id = runs.run_id
    where
        runs.system = 'streamvote'
        and runs.profile <> 'hammer'
        and calls.operation = 'vote'
        and calls.outcome in ('ok', 'declined')
        and runs.run_id = coalesce(:run_id, runs.run_id)
    group by runs.run_id
) as answered
-- of a few votes one is a large share
where answered.vote_count >= 200 and answered.limited_count * 100 > answered.vote_count
order by answered.run_id
