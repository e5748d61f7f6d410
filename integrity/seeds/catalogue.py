"""The seeders that exist, by system."""

from collections.abc import Mapping
from types import MappingProxyType

from integrity.seeds.ghostpass.tables import GHOSTPASS
from integrity.seeds.seeder import Seeder

SEEDERS: Mapping[str, Seeder] = MappingProxyType({seeder.name: seeder for seeder in (GHOSTPASS,)})
