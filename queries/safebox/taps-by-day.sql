-- title: how the NFC requests of each day ended, and the share that was accepted
-- parameter: since timestamptz = now - 30 days
select
    substr(cast(nfc_requests.requested_at as text), 1, 10) as day,
    count(*) as request_count,
    count(*) filter (where nfc_requests.status = 'accepted') as accepted_count,
    count(*) filter (where nfc_requests.status = 'rejected') as rejected_count,
    count(*) filter (where nfc_requests.status = 'expired') as expired_count,
    count(*) filter (where nfc_requests.status = 'open') as open_count,
    100 * count(*) filter (where nfc_requests.status = 'accepted') / count(*) as accepted_percent
from safebox.nfc_requests
where nfc_requests.requested_at >= :since
group by substr(cast(nfc_requests.requested_at as text), 1, 10)
order by day
