-- title: a wallet's notifications are numbered 1, 2, 3, ... up to its count
-- severity: error
-- source: status stream; a client knows by the numbers what it has missed
-- why: A client that waits for a number that never comes reads its stream again and again; one that sees it twice errs.
-- hint: A count that was raised in another transaction than its notification was written in, or without a lock.
select
    wallets.id as wallet_id,
    wallets.notification_count,
    count(notifications.id) as stored_count,
    min(notifications.sequence) as sequence_least,
    max(notifications.sequence) as sequence_most,
    count(distinct notifications.sequence) as distinct_count
from safebox.wallets
left join safebox.notifications on notifications.wallet_id = wallets.id
group by wallets.id
having
    count(notifications.id) <> wallets.notification_count
    or count(distinct notifications.sequence) <> wallets.notification_count
    or coalesce(min(notifications.sequence), 1) <> 1
    or coalesce(max(notifications.sequence), 0) <> wallets.notification_count
order by wallets.id
