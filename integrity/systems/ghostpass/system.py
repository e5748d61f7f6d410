"""ghostpass: a venue's wallet. Doors, concession terminals, card funding, re-entry for a fee, a full audit log."""

from integrity.operation import RESTARTED, Allowed
from integrity.systems.ghostpass.bugs import BUGS
from integrity.systems.ghostpass.operations import OPERATIONS
from integrity.systems.ghostpass.schema import METADATA
from integrity.systems.ghostpass.services import SERVICES
from integrity.systems.ghostpass.stage import stage
from integrity.systems.system import System

GHOSTPASS = System(
    name="ghostpass",
    title="a venue's wallet: doors, concessions, card funding, re-entry",
    metadata=METADATA,
    operations=OPERATIONS,
    services=SERVICES,
    pools={
        "wallets": "select id from ghostpass.wallets order by id",
        "gateways": "select id from ghostpass.gateways order by id",
        "terminals": "select id from ghostpass.terminals order by id",
        "sales": "select id from ghostpass.sales order by id",
    },
    makes={"sell": ("sales", "sale_id")},
    bugs=BUGS,
    stage=stage,
    allowed=Allowed(retries=RESTARTED),
)
