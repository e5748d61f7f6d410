"""streamvote: votes in live events, paid with stars. Invoices and webhooks, tallies, updates as streams, rate limits."""

from pathlib import Path

from integrity.operation import RESTARTED, Allowed
from integrity.reference.streamvote.bugs import BUGS
from integrity.reference.streamvote.endpoints import ENDPOINTS
from integrity.reference.streamvote.operations import OPERATIONS, SUBSCRIPTIONS
from integrity.reference.streamvote.schema import METADATA
from integrity.reference.streamvote.seeds.tables import SEEDER
from integrity.reference.streamvote.services import SERVICES
from integrity.reference.streamvote.stage import stage
from integrity.systems.planned_limit import PlannedLimit
from integrity.systems.system import Sweep, System

STREAMVOTE = System(
    name="streamvote",
    title="votes in live events, paid with stars: invoices, tallies, streams, rate limits",
    metadata=METADATA,
    operations=OPERATIONS,
    services=SERVICES,
    request_keys={"provider": "command", "jobs": "job", "cache": "command"},
    own_services=frozenset({"jobs", "cache", "app"}),
    pools={
        "wallets": "select id from streamvote.wallets order by id",
        "live_events": "select id from streamvote.live_events where status = 'open' order by id",
        "invoices": "select id from streamvote.invoices order by id",
        "streamers": "select id from streamvote.streamers order by id",
        "terms": "select distinct substr(name, 1, 3) as term from streamvote.streamers order by term",
    },
    makes={"create_invoice": ("invoices", "invoice_id"), "open_event": ("live_events", "live_event_id")},
    bugs=BUGS,
    sweeps=(
        Sweep(
            "check_invoice",
            """
            select id as invoice_id, 1 as open_count from streamvote.invoices
            where status = 'open' and created_at >= :began_at
            order by id
            """,
        ),
    ),
    subscriptions=SUBSCRIPTIONS,
    stage=stage,
    seeder=SEEDER,
    endpoints=ENDPOINTS,
    profiles=Path(__file__).with_name("profiles.toml"),
    allowed=Allowed(retries=RESTARTED),
    limits={
        "pool": PlannedLimit(0.70, 0.95, "load test plan: connections below 70% of the pool"),
    },
)
