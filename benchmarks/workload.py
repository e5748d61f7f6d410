"""How fast `integrity run` is: its closed loop beside pgbench, the same sale on the same server with as many clients.

    python benchmarks/workload.py [--clients 8 32 64] [--seconds 4] [--rounds 5] [--wallets 5000] [--processes 2]

Both send what the operation `sell` of ghostpass sends: begin, the terminal, the debit, the sale, its splits, its entries,
the audit row, commit; prepared, committed durably (synchronous_commit and fsync on). The run records its history and
measures every call, pgbench does neither. Rounds alternate; printed are medians, and the ratio of each round. What a call
takes of the processors is that of the client's process: of ours from the first second to the last, without what it
takes to begin and to end. With `--processes 2` each round has a run more, whose clients so many processes share; what a
call takes is then that of all of them, from when they are started to the end.
"""

import argparse
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from integrity.database.namespace import guard
from integrity.engines.embedded.binaries import candidate_folders
from integrity.engines.embedded.server import EmbeddedServer
from integrity.engines.target import Target
from integrity.events import Event
from integrity.load.profile import load_profile
from integrity.load.request import RunAdvanced, RunRequest
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
    arguments.add_argument("--clients", type=int, nargs="+", default=[8, 32, 64])
    arguments.add_argument("--seconds", type=float, default=4.0)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--wallets", type=int, default=5000)
    arguments.add_argument("--processes", type=int, default=1)
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
    run_hammer(target, folder, min(chosen.clients), chosen.seconds, seed=0)  # warms up
    for clients in chosen.clients:
        compare(target, folder, script, clients, chosen)


def compare(target: Target, folder: Path, script: Path, clients: int, chosen: argparse.Namespace) -> None:
    limits, ours, shared = [], [], []
    for number in range(1, chosen.rounds + 1):
        limits.append(run_pgbench(target, script, clients, chosen.seconds))
        ours.append(run_hammer(target, folder, clients, chosen.seconds, seed=number))
        if chosen.processes > 1:
            shared.append(run_hammer(target, folder, clients, chosen.seconds, seed=number, processes=chosen.processes))
        print(f"round {number}: pgbench {limits[-1]}   run {ours[-1]}   {ours[-1].rate / limits[-1].rate:.2f}")
    ratios = [our.rate / limit.rate for our, limit in zip(ours, limits, strict=True)]
    load = os.getloadavg()[0]
    print(f"sales, {clients} clients, medians of {chosen.rounds} rounds of {chosen.seconds:g} s, load {load:.1f}")
    print(f"  pgbench -M prepared            {median_of(limits)}")
    print(f"  integrity run, history on      {median_of(ours)}")
    print(f"  run / pgbench                    {statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]")
    print(f"  most that one process can make {1e6 / median_of(ours).cpu_us:6.0f}/s")
    if shared:
        beside = [together.rate / alone.rate for together, alone in zip(shared, ours, strict=True)]
        print(f"  integrity run --processes {chosen.processes}      {median_of(shared)}")
        print(f"  beside one process               {statistics.median(beside):.2f} [{min(beside):.2f}-{max(beside):.2f}]")


@dataclass(frozen=True, slots=True)
class Speed:
    """Calls a second, and what each takes of the client's processors, in microseconds."""

    rate: float
    cpu_us: float

    def __str__(self) -> str:
        return f"{self.rate:6.0f}/s {self.cpu_us:4.0f} us"


def median_of(speeds: Sequence[Speed]) -> Speed:
    return Speed(statistics.median(each.rate for each in speeds), statistics.median(each.cpu_us for each in speeds))


def run_pgbench(target: Target, script: Path, clients: int, seconds: float) -> Speed:
    program = next(
        binaries.folder / "pgbench" for binaries in candidate_folders(os.environ) if (binaries.folder / "pgbench").exists()
    )
    jobs = min(clients, os.cpu_count() or 1)
    command = [str(program), "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={jobs}"]
    command += [f"--time={max(1, round(seconds))}", f"--file={script}"]
    command += ["--host", str(target.url.query["host"]), "--username", str(target.url.username), str(target.url.database)]
    before_s = cpu_s_of_children()
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"})
    used_s = cpu_s_of_children() - before_s
    lines = answer.stdout.splitlines()
    made = next(int(line.split()[-1]) for line in lines if line.startswith("number of transactions actually processed"))
    rate = next(float(line.split()[2]) for line in lines if line.startswith("tps = "))
    return Speed(rate, used_s / made * 1e6)


def cpu_s_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_hammer(target: Target, folder: Path, clients: int, seconds: float, *, seed: int, processes: int = 1) -> Speed:
    """Return how fast it was; all calls must have been ok, or the two did not do the same."""
    profile = load_profile(GHOSTPASS, "sell", OVERRIDES, {"clients": clients, "duration_s": seconds})
    request = RunRequest(
        system=GHOSTPASS,
        profile_name="sell",
        profile=profile,
        target=target,
        project=Project(folder, Settings()),
        seed=seed,
        processes=processes,
    )
    seen: list[tuple[float, int]] = []

    def look(event: Event) -> None:
        if isinstance(event, RunAdvanced) and event.phase == "running":
            seen.append((time.process_time(), sum(each.calls for each in event.operations.values())))

    result = run(request, look).result
    total = result.total
    assert total.ok == total.calls, total
    if processes > 1:
        assert result.generator is not None
        used_s = result.generator.cpu_share * result.elapsed_s * (os.cpu_count() or 1)
        return Speed(total.calls_per_s or 0.0, used_s / total.calls * 1e6)
    (first_s, first_calls), (last_s, last_calls) = seen[0], seen[-1]
    if last_calls == first_calls:
        raise SystemExit("too few looks at the calls to tell what one takes: measure for longer, --seconds 5")
    return Speed(total.calls_per_s or 0.0, (last_s - first_s) / (last_calls - first_calls) * 1e6)


if __name__ == "__main__":
    main()
