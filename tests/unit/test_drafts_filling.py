"""What a template's words stand for is found among many tables as among few."""

import pytest

from integrity.drafts.filling import find_likely
from integrity.drafts.found import FoundTable, Holds
from integrity.drafts.templates.catalogue import TEMPLATES

COLUMNS = {
    "id": Holds.NUMBERS,
    "account_id": Holds.NUMBERS,
    "amount": Holds.NUMBERS,
    "balance": Holds.NUMBERS,
    "status": Holds.WORDS,
    "currency": Holds.WORDS,
}


@pytest.mark.timeout(60)  # each table tried with each took four minutes
def test_a_thousand_tables_are_looked_through_in_a_moment() -> None:
    many = [FoundTable("public", f"t{number}_entries", COLUMNS, ("id",)) for number in range(1000)]
    accounts = FoundTable("public", "accounts", {"id": Holds.NUMBERS, "balance": Holds.NUMBERS}, ("id",))
    for template in TEMPLATES.values():
        find_likely(template, many)
    found = find_likely(TEMPLATES["balance-equals-entries"], [*many[:2], accounts])
    assert [filling.tables["entries"].name for filling in found] == ["t0_entries", "t1_entries"]
    assert {filling.tables["table"].name for filling in found} == {"accounts"}
