"""The seeders that exist, by system."""

from collections.abc import Mapping
from types import MappingProxyType

from integrity.seeds.ghostpass.tables import GHOSTPASS
from integrity.seeds.inbox.tables import INBOX
from integrity.seeds.instainstru.tables import INSTAINSTRU
from integrity.seeds.safebox.tables import SAFEBOX
from integrity.seeds.seeder import Seeder
from integrity.seeds.streamvote.tables import STREAMVOTE

SEEDERS: Mapping[str, Seeder] = MappingProxyType(
    {seeder.name: seeder for seeder in (GHOSTPASS, SAFEBOX, STREAMVOTE, INSTAINSTRU, INBOX)}
)
