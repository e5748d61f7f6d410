-- title: no NFC request stays open after its time when its run has settled what it owed, else for longer than 15 minutes
-- severity: error
-- source: point of sale; a tap is answered, or it expires
-- why: The merchant does not know whether the customer has paid.
-- hint: A relay that dropped the request, or a payment that stays processing: is somebody polling or sweeping this wallet?
-- parameter: run_id text = null
-- parameter: stuck_before timestamptz = now - 15 minutes
select
    nfc_requests.id as nfc_request_id,
    nfc_requests.wallet_id,
    nfc_requests.card_id,
    nfc_requests.amount_minor,
    nfc_requests.expires_at,
    nfc_requests.answered_at,
    coalesce(runs.settled_at, :stuck_before) as open_at,
    cast(nfc_requests.operation_id as text) as operation_id
from safebox.nfc_requests
left join integrity.safebox_calls as calls on calls.operation_id = nfc_requests.operation_id
left join integrity.safebox_runs as runs on runs.run_id = calls.run_id
where
    nfc_requests.status = 'open'
    and (
        -- its run has delivered what was owed and taken up what was left: nobody else will
        (runs.settled_at is not null and (:run_id is null or calls.run_id = :run_id) and nfc_requests.expires_at <= runs.settled_at)
        -- nobody's run made it: the clock decides; what a run of which no calls are there made is that run's matter
        or (
            calls.run_id is null
            and :run_id is null
            and nfc_requests.expires_at < :stuck_before
            and not exists (
                select gaps.run_id
                from integrity.safebox_gaps as gaps
                where nfc_requests.requested_at >= gaps.calls_from and nfc_requests.requested_at < gaps.ended_at
            )
        )
    )
order by nfc_requests.id
