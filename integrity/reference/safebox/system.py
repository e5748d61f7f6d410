"""safebox: an ecash wallet. Lightning in and out, proofs of a mint, NFC cards over a relay, point of sale, its status."""

from pathlib import Path

from integrity.operation import RESTARTED, Allowed
from integrity.reference.safebox.bugs import BUGS
from integrity.reference.safebox.endpoints import ENDPOINTS
from integrity.reference.safebox.listening import SUBSCRIPTIONS
from integrity.reference.safebox.operations import OPERATIONS
from integrity.reference.safebox.schema import METADATA
from integrity.reference.safebox.seeds.tables import SEEDER
from integrity.reference.safebox.services import SERVICES
from integrity.reference.safebox.stage import stage
from integrity.systems.system import Sweep, System

SAFEBOX = System(
    name="safebox",
    title="an ecash wallet: Lightning, proofs, NFC cards, point of sale",
    metadata=METADATA,
    operations=OPERATIONS,
    services=SERVICES,
    request_keys={"mint": "do"},
    pools={
        "wallets": "select id from safebox.wallets order by id",
        "cards": "select id from safebox.cards order by id",
        # Only what can still be paid; what a run makes comes to it.
        "invoices": "select id from safebox.invoices where status = 'unpaid' order by id",
    },
    makes={"create_invoice": ("invoices", "invoice_id"), "create_pos_sale": ("invoices", "invoice_id")},
    bugs=BUGS,
    sweeps=(
        Sweep(
            "settle_pending",
            """
            select min(wallet_id) as wallet_id, count(*) as open_count
            from (
                select wallet_id from safebox.payments where status = 'processing' and created_at >= :began_at
                union all
                select wallet_id from safebox.invoices where status = 'paid' and paid_at >= :began_at
                union all
                select wallet_id from safebox.invoices
                where status = 'unpaid' and created_at >= :began_at and expires_at < current_timestamp
                union all
                select wallet_id from safebox.nfc_requests
                where status = 'open' and requested_at >= :began_at and expires_at < current_timestamp
            ) as under_way
            group by wallet_id
            order by wallet_id
            """,
        ),
    ),
    subscriptions=SUBSCRIPTIONS,
    stage=stage,
    seeder=SEEDER,
    endpoints=ENDPOINTS,
    profiles=Path(__file__).with_name("profiles.toml"),
    allowed=Allowed(retries=RESTARTED),
)
