"""Audit of ghostpass: ours, a hand-written fused SQL script, and each invariant's query alone.

    python benchmarks/audit.py --wallets 1000000 --database postgresql://... [--keep]

Seeds a world (1,000,000 wallets have about 11,000,000 entries), then in each round audits it in three ways, interleaved:

- ours:   `integrity.audit.audit` with its defaults, two connections on one exported snapshot;
- fused:  the script below, which asks the same invariants with as few joins and groups as an expert would need, on two
          connections on one exported snapshot, with the same settings as ours;
- alone:  every invariant's query as its file has it, one after another on one connection, with the server's settings.

Prints the median of each and the ratios. On a clean world all three must find nothing, and say so; then 5 rows are broken
and each must find them.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from integrity.audit import AuditSettings, audit
from integrity.database.namespace import inspect_database
from integrity.engines.snapshot import Reader
from integrity.engines.target import Target
from integrity.events import InvariantJudged
from integrity.invariants.load import load_invariants
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, seed_system
from integrity.sql.file import SqlFile

# Each statement counts violations of several invariants; the pairs are balanced over two connections, longest first.
FUSED = {
    # balance-equals-entries, balance-not-negative, entry-has-wallet
    "wallets": """
        select
            count(*) filter (where wallets.id is not null
                and wallets.balance_minor is distinct from coalesce(sums.total, 0))
            + count(*) filter (where wallets.balance_minor < 0)
            + count(*) filter (where wallets.id is null)
        from ghostpass.wallets
        full join (
            select wallet_id, sum(amount_minor) as total from ghostpass.entries where account = 'wallet' group by wallet_id
        ) as sums on sums.wallet_id = wallets.id
    """,
    # transfer-sums-to-zero
    "transfers": """
        select count(*) from (
            select from ghostpass.entries group by operation_id having sum(amount_minor) <> 0
        ) as unbalanced
    """,
    # sale-equals-debit, refund-at-most-once, sale-equals-splits, splits-equal-entries, fee-as-configured, entry-has-cause
    "sales": """
        select
            count(*) filter (where sales.id is not null and (
                coalesce(posted.debits, 0) <> 1 or posted.debited <> -sales.amount_minor
                or posted.wallet_least <> sales.wallet_id or posted.wallet_most <> sales.wallet_id
            ))
            + count(*) filter (where sales.id is not null and (
                coalesce(posted.refunds, 0) > 1 or sales.refunded_minor > sales.amount_minor
                or coalesce(posted.refunded, 0) <> sales.refunded_minor
            ))
            + count(*) filter (where sales.amount_minor <> coalesce(split.total, 0))
            + count(*) filter (where split.platform is distinct from coalesce(posted.platform, 0)
                or split.vendor is distinct from coalesce(posted.vendor, 0)
                or split.venue is distinct from coalesce(posted.venue, 0))
            + count(*) filter (where sales.platform_fee_minor is distinct from
                    sales.amount_minor * terminals.platform_fee_bps / 10000
                or split.platform is distinct from sales.platform_fee_minor
                or split.venue is distinct from sales.amount_minor * terminals.venue_share_bps / 10000)
            + count(*) filter (where sales.id is null and posted.debits + posted.refunds > 0)
        from ghostpass.sales
        left join ghostpass.terminals on terminals.id = sales.terminal_id
        left join (
            select
                sale_id,
                sum(amount_minor) as total,
                sum(amount_minor) filter (where party = 'platform') as platform,
                sum(amount_minor) filter (where party = 'vendor') as vendor,
                sum(amount_minor) filter (where party = 'venue') as venue
            from ghostpass.splits
            group by sale_id
        ) as split on split.sale_id = sales.id
        full join (
            select
                reference,
                count(*) filter (where kind = 'sale' and account = 'wallet') as debits,
                sum(amount_minor) filter (where kind = 'sale' and account = 'wallet') as debited,
                count(*) filter (where kind = 'refund' and account = 'wallet') as refunds,
                sum(amount_minor) filter (where kind = 'refund' and account = 'wallet') as refunded,
                min(wallet_id) as wallet_least,
                max(wallet_id) as wallet_most,
                sum(amount_minor) filter (where kind = 'sale' and account = 'platform') as platform,
                sum(amount_minor) filter (where kind = 'sale' and account = 'vendor') as vendor,
                sum(amount_minor) filter (where kind = 'sale' and account = 'venue') as venue
            from ghostpass.entries
            where kind in ('sale', 'refund')
            group by reference
        ) as posted on posted.reference = sales.id
    """,
    # audit-has-subject, funding-is-logged, sale-is-logged, scan-is-logged
    "log": """
        select
            count(*) filter (where audit_log.operation_id is null and not happened.is_refund)
            + count(*) filter (where happened.operation_id is null)
        from (
            select operation_id, 'funding' as subject, id as subject_id, false as is_refund from ghostpass.fundings
            union all
            select operation_id, 'funding', funding_id, false from ghostpass.webhook_events
            union all
            select operation_id, 'scan', id, false from ghostpass.scans
            union all
            select operation_id, 'sale', id, false from ghostpass.sales
            union all
            select operation_id, 'sale', reference, true
            from ghostpass.entries
            where kind = 'refund' and account = 'wallet'
        ) as happened
        full join ghostpass.audit_log
            on audit_log.operation_id = happened.operation_id
            and audit_log.subject_id = happened.subject_id
            and audit_log.subject = happened.subject
    """,
    # entry-is-logged
    "entries": """
        select count(*)
        from ghostpass.entries
        where account = 'wallet' and not exists (
            select from ghostpass.audit_log
            where
                audit_log.operation_id = entries.operation_id
                and audit_log.subject_id = entries.reference
                and audit_log.subject
                = case entries.kind when 'funding' then 'funding' when 'reentry_fee' then 'scan' else 'sale' end
        )
    """,
    # funding-credited-once, credit-has-confirmed-funding, funding-not-stuck, event-settles-funding,
    # settled-funding-has-event; event-applied-once is what its unique index is for
    "fundings": """
        select
            count(*) filter (where fundings.status = 'confirmed' and (
                coalesce(credit.credits, 0) <> 1 or credit.total <> fundings.amount_minor
                or credit.wallet_least <> fundings.wallet_id or credit.wallet_most <> fundings.wallet_id
            ))
            + count(*) filter (where credit.reference is not null and fundings.status is distinct from 'confirmed')
            + count(*) filter (where fundings.status = 'pending' and fundings.requested_at < now() - interval '15 minutes')
            + count(*) filter (where event.funding_id is not null and (
                event.succeeded > 0 and fundings.status is distinct from 'confirmed'
                or event.failed > 0 and fundings.status is distinct from 'failed'
            ))
            + count(*) filter (where fundings.status <> 'pending' and event.funding_id is null)
        from ghostpass.fundings
        full join (
            select
                reference, count(*) as credits, sum(amount_minor) as total,
                min(wallet_id) as wallet_least, max(wallet_id) as wallet_most
            from ghostpass.entries
            where kind = 'funding' and account = 'wallet'
            group by reference
        ) as credit on credit.reference = fundings.id
        full join (
            select
                funding_id,
                count(*) filter (where kind = 'payment_succeeded') as succeeded,
                count(*) filter (where kind <> 'payment_succeeded') as failed
            from ghostpass.webhook_events
            group by funding_id
        ) as event on event.funding_id = fundings.id
    """,
    # scans-alternate, entry-numbers-have-no-gap, entry-count-equals-scans, presence-matches-last-scan;
    # entry-number-unique is what its unique index is for
    "guests": """
        select
            count(*) filter (where gone.repeats > 0)
            + count(*) filter (where gone.entries > 0 and (gone.least <> 1 or gone.most > gone.entries))
            + count(*) filter (where coalesce(presences.entry_count, 0) <> coalesce(gone.entries, 0))
            + count(*) filter (where coalesce(presences.is_inside, false) <> (coalesce(gone.last_direction, 'out') = 'in'))
        from ghostpass.wallets
        left join ghostpass.presences on presences.wallet_id = wallets.id
        left join (
            select
                wallet_id,
                count(*) filter (where direction = coalesce(previous, 'out')) as repeats,
                count(entry_number) as entries,
                min(entry_number) as least,
                max(entry_number) as most,
                max(direction) filter (where following is null) as last_direction
            from (
                select
                    wallet_id, direction, entry_number,
                    lag(direction) over in_order as previous,
                    lead(direction) over in_order as following
                from ghostpass.scans
                where is_accepted
                window in_order as (partition by wallet_id order by id)
            ) as ordered
            group by wallet_id
        ) as gone on gone.wallet_id = wallets.id
    """,
    # reentry-fee-as-configured, reentry-fee-charged-once, entry-has-cause
    "fees": """
        select
            count(*) filter (where scans.id is not null and scans.fee_minor is distinct from
                case when scans.entry_number > 1 then gateways.reentry_fee_minor else 0 end)
            + count(*) filter (where scans.id is not null and (
                coalesce(fee.debits, 0) <> case when scans.fee_minor = 0 then 0 else 1 end
                or coalesce(fee.total, 0) <> -scans.fee_minor
                or fee.wallet_least <> scans.wallet_id or fee.wallet_most <> scans.wallet_id
            ))
            + count(*) filter (where scans.id is null)
        from ghostpass.scans
        left join ghostpass.gateways on gateways.id = scans.gateway_id
        full join (
            select
                reference, count(*) as debits, sum(amount_minor) as total,
                min(wallet_id) as wallet_least, max(wallet_id) as wallet_most
            from ghostpass.entries
            where kind = 'reentry_fee' and account = 'wallet'
            group by reference
        ) as fee on fee.reference = scans.id
    """,
}
BREAK = """
    update ghostpass.wallets set balance_minor = balance_minor + 1 where id = (select min(id) from ghostpass.wallets);
    update ghostpass.wallets set balance_minor = balance_minor - 1
        where id = (select min(id) from ghostpass.wallets where id > 1 and balance_minor > 0);
    delete from ghostpass.audit_log where id = (select min(id) from ghostpass.audit_log where subject = 'sale');
    update ghostpass.splits set amount_minor = amount_minor + 1 where id = (select min(id) from ghostpass.splits);
    delete from ghostpass.webhook_events where id = (select min(id) from ghostpass.webhook_events);
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Audit of ghostpass against hand-written SQL.")
    parser.add_argument("--wallets", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database", help="an empty PostgreSQL database; default: a server in a temporary folder")
    parser.add_argument("--has-world", action="store_true", help="the database is seeded already")
    parser.add_argument("--without-alone", action="store_true", help="leave out the slow third way")
    arguments = parser.parse_args()
    if arguments.database:
        measure(Target.parse(arguments.database), arguments)
        return
    import tempfile

    from integrity.engines.embedded.server import EmbeddedServer

    with tempfile.TemporaryDirectory(prefix="integrity-benchmark-") as folder:
        server = EmbeddedServer(Path(folder) / "postgres", dies_with_parent=True)
        try:
            measure(server.start(), arguments)
        finally:
            server.reset()


def measure(target: Target, arguments: argparse.Namespace) -> None:
    if not arguments.has_world:
        seed_world(target, arguments.wallets)
    files = list(load_invariants(Project(Path("/nowhere"), Settings()), patterns=["ghostpass/*"]).values())
    ways: dict[str, Callable[[], int]] = {"ours": lambda: ours(target, files), "fused": lambda: fused(target)}
    if not arguments.without_alone:
        ways["alone"] = lambda: alone(target, files)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(arguments.rounds + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            found = way()
            took = time.perf_counter() - started
            print(f"round {number}  {name:<6} {took:8.2f} s  found {found}", file=sys.stderr, flush=True)
            assert found == 0, f"{name} finds {found} violations in a world without any"
            if number:  # the first round warms the cache
                seconds[name].append(took)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    with target.connect() as connection:
        entries = connection.execute("select count(*) from ghostpass.entries").fetchone()
        wallets = connection.execute("select count(*) from ghostpass.wallets").fetchone()
    assert entries
    assert wallets
    print(f"{wallets[0]:,} wallets, {entries[0]:,} entries, {len(files)} invariants, {arguments.rounds} rounds")
    for name, median in medians.items():
        spread = f"{min(seconds[name]):.2f}-{max(seconds[name]):.2f}"
        print(f"{name:<6} {median:8.2f} s [{spread}]  {median / medians['fused']:.2f} of the hand-written script")
    with target.connect() as connection:
        connection.execute(BREAK)
    for name, way in ways.items():
        print(f"{name:<6} finds {way()} violations after 5 rows are broken")


def seed_world(target: Target, wallets: int) -> None:
    started = time.perf_counter()
    seed_system(target, inspect_database(target), GHOSTPASS, sizes={"wallets": wallets}, seed=1, mode=Mode.NEW)
    with target.connect() as connection:
        connection.execute("vacuum analyze")
    print(f"seeded {wallets:,} wallets in {time.perf_counter() - started:.0f} s", file=sys.stderr)


def ours(target: Target, files: list[SqlFile]) -> int:
    judged = [event for event in audit(target, files, AuditSettings()) if isinstance(event, InvariantJudged)]
    unknown = [event.finding.reason for event in judged if event.finding.verdict == "unknown"]
    assert not unknown, unknown
    return sum(event.finding.violation_count for event in judged)


def fused(target: Target) -> int:
    waiting = list(FUSED.values())
    with target.open_snapshot(connections=2, timeout_s=3600) as snapshot, ThreadPoolExecutor(2) as pool:

        def work(session: Reader) -> int:
            found = 0
            while waiting:
                row = session.read(waiting.pop(0))[0]
                found += next(iter(row.values()))
            return found

        return sum(pool.map(work, snapshot.sessions))


def alone(target: Target, files: list[SqlFile]) -> int:
    found = 0
    with target.connect() as connection:
        now = connection.execute("select now()").fetchone()
        assert now
        for file in files:
            values = file.values({}, now=now[0])
            cursor = psycopg.RawCursor(connection)
            cursor.execute(file.numbered.encode(), [values[name] for name in file.parameter_names] or None)
            found += len(cursor.fetchall())
    return found


if __name__ == "__main__":
    main()
