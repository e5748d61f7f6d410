"""How fast `integrity run` is: its closed loop beside pgbench, the same sale on the same server with as many clients.

    python benchmarks/workload.py [--clients 8] [--seconds 4] [--rounds 5] [--wallets 5000]

Both send what the operation `sell` of ghostpass sends: begin, the terminal, the debit, the sale, its splits, its entries,
the audit row, commit; prepared, committed durably (synchronous_commit and fsync on). The run records its history and
measures every call, pgbench does neither. Rounds alternate; printed are medians, and the ratio of each round.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from integrity.database.namespace import guard
from integrity.engines.embedded.binaries import candidate_folders
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.load.profile import load_profile
from integrity.load.request import RunRequest
from integrity.load.run import run
from integrity.project import Project, Settings
from integrity.reference.ghostpass.system import GHOSTPASS
from integrity.seeds.load import Mode, seed_system

OVERRIDES = {"sell": {"extends": "hammer", "weights": {"sell": 1}, "hot_share": 0.0, "abandon": {}, "thresholds": []}}

# Guests of this benchmark are rich: every sale is paid, as in the script, which cannot branch on the debit's row.
ENOUGH = "update ghostpass.wallets set balance_minor = 1000000000000"

SCRIPT = """
\\set wallet random(1, {wallets})
\\set terminal random(1, {terminals})
\\set amount random(150, 1999)
begin;
select platform_fee_bps, venue_share_bps from ghostpass.terminals where id = :terminal;
update ghostpass.wallets set balance_minor = balance_minor - :amount
where id = :wallet and balance_minor >= :amount returning balance_minor;
insert into ghostpass.sales (wallet_id, terminal_id, amount_minor, platform_fee_minor, operation_id)
values (:wallet, :terminal, :amount, :amount / 40, uuidv7()) returning id as sale \\gset
insert into ghostpass.splits (sale_id, party, amount_minor)
values (:sale, 'platform', :amount / 40), (:sale, 'venue', :amount / 10),
    (:sale, 'vendor', :amount - :amount / 40 - :amount / 10);
insert into ghostpass.entries (account, wallet_id, kind, amount_minor, reference, operation_id)
values ('wallet', :wallet, 'sale', -(:amount)::bigint, :sale, uuidv7()),
    ('platform', null, 'sale', :amount / 40, :sale, uuidv7()),
    ('venue', null, 'sale', :amount / 10, :sale, uuidv7()),
    ('vendor', null, 'sale', :amount - :amount / 40 - :amount / 10, :sale, uuidv7());
insert into ghostpass.audit_log (action, subject, subject_id, operation_id) values ('sold', 'sale', :sale, uuidv7());
commit;
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--clients", type=int, default=8)
    arguments.add_argument("--seconds", type=float, default=4.0)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--wallets", type=int, default=5000)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "postgres")
        target = server.start()
        try:
            measure(target, Path(folder), chosen)
        finally:
            server.stop()


def measure(target: Target, folder: Path, chosen: argparse.Namespace) -> None:
    seed_system(target, guard(target, None), GHOSTPASS, sizes={"wallets": chosen.wallets}, seed=1, mode=Mode.NEW)
    with target.connect() as connection:
        connection.execute(ENOUGH)
        connection.execute("checkpoint")
        terminal_count = connection.execute("select count(*) from ghostpass.terminals").fetchone()[0]  # type: ignore[index]  # one row
    script = folder / "sell.sql"
    script.write_text(SCRIPT.format(wallets=chosen.wallets, terminals=terminal_count))
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; the ratio falls when others compute")
    pgbench_rates, run_rates = [], []
    for number in range(chosen.rounds + 1):
        pgbench_rate = run_pgbench(target, script, chosen.clients, chosen.seconds)
        run_rate = run_hammer(target, folder, chosen.clients, chosen.seconds, seed=number)
        if number == 0:
            continue  # the first round warms up
        pgbench_rates.append(pgbench_rate)
        run_rates.append(run_rate)
        print(f"round {number}: pgbench {pgbench_rate:6.0f}/s   run {run_rate:6.0f}/s   {run_rate / pgbench_rate:.2f}")
    ratios = [ours / limit for ours, limit in zip(run_rates, pgbench_rates, strict=True)]
    print(f"sales, {chosen.clients} clients, medians of {chosen.rounds} rounds of {chosen.seconds:g} s")
    print(f"  pgbench -M prepared            {statistics.median(pgbench_rates):6.0f}/s")
    print(f"  integrity run, history on      {statistics.median(run_rates):6.0f}/s")
    print(f"  run / pgbench                    {statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]")


def run_pgbench(target: Target, script: Path, clients: int, seconds: float) -> float:
    """Return transactions per second."""
    program = next(
        binaries.folder / "pgbench" for binaries in candidate_folders(os.environ) if (binaries.folder / "pgbench").exists()
    )
    jobs = min(clients, os.cpu_count() or 1)
    command = [str(program), "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={jobs}"]
    command += [f"--time={max(1, round(seconds))}", f"--file={script}"]
    command += ["--host", str(target.url.query["host"]), "--username", str(target.url.username), str(target.url.database)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"})
    line = next(line for line in answer.stdout.splitlines() if line.startswith("tps = "))
    return float(line.split()[2])


def run_hammer(target: Target, folder: Path, clients: int, seconds: float, seed: int) -> float:
    """Return calls per second; all must have been ok, or the two did not do the same."""
    profile = load_profile(GHOSTPASS, "sell", OVERRIDES, {"clients": clients, "duration_s": seconds})
    request = RunRequest(
        system=GHOSTPASS,
        profile_name="sell",
        profile=profile,
        target=target,
        project=Project(folder, Settings()),
        seed=seed,
    )
    total = run(request).result.total
    assert total.ok == total.calls, total
    return total.calls_per_s or 0.0


if __name__ == "__main__":
    main()
