"""ghostpass: a venue's wallet. Doors, concession terminals, card funding, re-entry for a fee, a full audit log."""

from pathlib import Path

from integrity.operation import RESTARTED, Allowed
from integrity.reference.ghostpass.bugs import BUGS
from integrity.reference.ghostpass.endpoints import ENDPOINTS
from integrity.reference.ghostpass.operations import OPERATIONS
from integrity.reference.ghostpass.schema import METADATA
from integrity.reference.ghostpass.seeds.tables import SEEDER
from integrity.reference.ghostpass.services import SERVICES
from integrity.reference.ghostpass.stage import stage
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
    seeder=SEEDER,
    endpoints=ENDPOINTS,
    profiles=Path(__file__).with_name("profiles.toml"),
    allowed=Allowed(retries=RESTARTED),
)
