"""safebox: an ecash wallet. Lightning in and out, proofs of a mint, NFC cards over a relay, point of sale, its status."""

from integrity.operation import RESTARTED, Allowed
from integrity.systems.safebox.bugs import BUGS
from integrity.systems.safebox.operations import OPERATIONS
from integrity.systems.safebox.schema import METADATA
from integrity.systems.safebox.services import SERVICES
from integrity.systems.safebox.stage import stage
from integrity.systems.system import System

SAFEBOX = System(
    name="safebox",
    title="an ecash wallet: Lightning, proofs, NFC cards, point of sale",
    metadata=METADATA,
    operations=OPERATIONS,
    services=SERVICES,
    pools={
        "wallets": "select id from safebox.wallets order by id",
        "cards": "select id from safebox.cards order by id",
        # Only what can still be paid; what a run makes comes to it.
        "invoices": "select id from safebox.invoices where status = 'unpaid' order by id",
    },
    makes={"create_invoice": ("invoices", "invoice_id"), "create_pos_sale": ("invoices", "invoice_id")},
    bugs=BUGS,
    stage=stage,
    allowed=Allowed(retries=RESTARTED),
)
