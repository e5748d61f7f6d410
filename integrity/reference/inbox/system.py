"""inbox: businesses answering their customers on WhatsApp, email and SMS."""

from pathlib import Path

from integrity.operation import RESTARTED, Allowed
from integrity.reference.inbox.bugs import BUGS
from integrity.reference.inbox.endpoints import ENDPOINTS
from integrity.reference.inbox.listening import SUBSCRIPTIONS
from integrity.reference.inbox.operations import OPERATIONS
from integrity.reference.inbox.schema import METADATA
from integrity.reference.inbox.seeds.tables import SEEDER
from integrity.reference.inbox.services import SERVICES
from integrity.reference.inbox.stage import stage
from integrity.systems.planned_limit import PlannedLimit
from integrity.systems.system import Sweep, System

INBOX = System(
    name="inbox",
    title="businesses answering customers on WhatsApp, email and SMS",
    metadata=METADATA,
    operations=OPERATIONS,
    services=SERVICES,
    request_keys={"processor": "action", "store": "action"},
    pools={
        "businesses": "select id from inbox.businesses order by id",
        "conversations": "select id from inbox.conversations order by id",
        "whatsapp": "select id from inbox.conversations where channel = 'whatsapp' order by id",
        "unused_whatsapp": """
            select id from inbox.conversations
            where channel = 'whatsapp' and not exists (
                select 1 from inbox.rate_windows
                where rate_windows.member_id = conversations.member_id
                and rate_windows.channel = conversations.channel
                and rate_windows.hour = to_char(current_timestamp, 'YYYY-MM-DD HH24')
            )
            order by id
        """,
        "email": "select id from inbox.conversations where channel = 'email' order by id",
        "sms": "select id from inbox.conversations where channel = 'sms' order by id",
    },
    bugs=BUGS,
    sweeps=(
        Sweep(
            "resend_queued",
            """
            select business_id, count(*) as open_count from inbox.messages
            where status = 'queued' and created_at >= :began_at
            group by business_id order by business_id
            """,
        ),
        Sweep(
            "settle_checkout",
            """
            select business_id, count(*) as open_count from inbox.checkouts
            where status = 'open' and created_at >= :began_at
            group by business_id order by business_id
            """,
        ),
        Sweep(
            "settle_uploads",
            """
            select business_id, count(*) as open_count from inbox.media
            where status = 'pending' and created_at >= :began_at
            group by business_id order by business_id
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
        "connections": PlannedLimit(
            0.80, 0.95, "business inbox plan: alert over 80% and over 95% of the database's connections"
        ),
        "database-cpu": PlannedLimit(
            0.70, 0.85, "business inbox plan: alert when the database's CPU is over 70%, over 85%"
        ),
        "sequential-scans": PlannedLimit(10_000, None, "business inbox plan: no sequential scan where there is an index"),
    },
)
