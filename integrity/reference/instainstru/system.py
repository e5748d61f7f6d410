"""instainstru: messages between instructors and students on the lessons they have booked, live as they are sent."""

from pathlib import Path

from integrity.operation import RESTARTED, Allowed
from integrity.reference.instainstru.bugs import BUGS
from integrity.reference.instainstru.endpoints import ENDPOINTS
from integrity.reference.instainstru.operations import OPERATIONS, SUBSCRIPTIONS
from integrity.reference.instainstru.schema import METADATA
from integrity.reference.instainstru.seeds.tables import SEEDER
from integrity.reference.instainstru.stage import stage
from integrity.systems.planned_limit import PlannedLimit
from integrity.systems.system import System

INSTAINSTRU = System(
    name="instainstru",
    title="lesson messaging: conversations on bookings, read markers, live streams",
    metadata=METADATA,
    operations=OPERATIONS,
    services={},
    pools={
        "participants": """
            select participants.id
            from instainstru.participants
            where exists (
                select 1 from instainstru.conversations where conversations.booking_id = participants.booking_id
            )
            order by participants.id
        """,
        # Everybody; last, and so the hottest, those whose booking has no conversation yet.
        "newcomers": """
            select participants.id
            from instainstru.participants
            left join instainstru.conversations on conversations.booking_id = participants.booking_id
            order by case when conversations.id is null then 1 else 0 end, participants.id
        """,
        "users": "select id from instainstru.users order by id",
    },
    bugs=BUGS,
    subscriptions=SUBSCRIPTIONS,
    stage=stage,
    seeder=SEEDER,
    endpoints=ENDPOINTS,
    profiles=Path(__file__).with_name("profiles.toml"),
    allowed=Allowed(retries=RESTARTED),
    limits={
        "process-cpu": PlannedLimit(
            0.70, 0.80, "lesson messaging plan: warn over 70% of the application's CPU, stop over 80%"
        ),
        "process-memory": PlannedLimit(1.6e9, 1.8e9, "lesson messaging plan: warn over 1.6 GB, stop over 1.8 GB"),
    },
)
