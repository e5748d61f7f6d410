"""The seeded past holds every state of every life cycle, up to those that no past can hold."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql
from sqlalchemy import CheckConstraint, Table

from integrity.engines.embedded.server import EmbeddedServer
from integrity.invariants.load import load_invariants
from integrity.project import find_project
from integrity.registry import SYSTEMS
from integrity.systems.system import System
from tests.detection.worlds import make_seeded

# A system promises to leave these within minutes, so in a past of days ago one would be a violation: of this invariant.
PASSING = {
    ("ghostpass", "fundings", "pending"): "ghostpass/funding-not-stuck",
    ("safebox", "invoices", "paid"): "safebox/invoice-not-stuck",
    ("safebox", "nfc_requests", "open"): "safebox/nfc-request-not-stuck",
    ("safebox", "payments", "processing"): "safebox/payment-not-stuck",
    # What a payment under way spends, and the sale of an invoice that expires: they go with it.
    ("safebox", "proofs", "pending"): "safebox/proof-not-pending-for-long",
    ("safebox", "pos_sales", "awaiting"): "safebox/pos-matches-invoice",
    ("streamvote", "invoices", "open"): "streamvote/invoice-not-stuck",
    ("streamvote", "invoices", "paid"): "streamvote/paid-invoice-is-credited",
    ("inbox", "checkouts", "open"): "inbox/checkout-not-stuck",
    ("inbox", "messages", "queued"): "inbox/message-not-stuck",
    ("inbox", "media", "pending"): "inbox/upload-not-stuck",
}

_KNOWN_VALUES = re.compile(r"(?P<column>\w+) in \((?P<values>'[^)]*')\)")


def life_cycles(system: System) -> Iterator[tuple[Table, str, set[str]]]:
    """Yield each column that says what has become of its row, with the values that it may have."""
    for table in system.metadata.sorted_tables:
        for constraint in table.constraints:
            if isinstance(constraint, CheckConstraint) and (said := _KNOWN_VALUES.fullmatch(str(constraint.sqltext))):
                yield table, said["column"], set(re.findall(r"'([^']+)'", said["values"]))


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS.keys())
def test_every_state_that_lasts_is_in_the_past(system: System, server: EmbeddedServer) -> None:
    target = make_seeded(server, system, f"states_{system.name}")
    missing = set()
    with target.connect() as connection:
        for table, column, values in life_cycles(system):
            query = sql.SQL("select distinct {} from {}").format(
                sql.Identifier(column), sql.Identifier(str(table.schema), table.name)
            )
            found = {value for (value,) in connection.execute(query).fetchall()}
            missing |= {(system.name, table.name, value) for value in values - found}
    assert missing == {place for place in PASSING if place[0] == system.name}


@pytest.mark.parametrize("place", PASSING, ids=" ".join)
def test_a_state_that_passes_is_watched_by_its_invariant(place: tuple[str, str, str], tmp_path: Path) -> None:
    invariant = load_invariants(find_project(tmp_path))[PASSING[place]]
    _, table, state = place
    assert table in invariant.text
    assert f"'{state}'" in invariant.text
