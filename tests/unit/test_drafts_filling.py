"""What a template's words stand for is found among many tables as among few."""

import pytest

from integrity.drafts.filling import fill, find_likely
from integrity.drafts.found import FoundTable, Holds, Reference
from integrity.drafts.template import ColumnWord
from integrity.drafts.templates.catalogue import TEMPLATES
from integrity.errors import UsageError

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


SOLD = FoundTable(
    "public", "sold", {"id": Holds.NUMBERS, "show_id": Holds.NUMBERS, "amount": Holds.NUMBERS}, ("id",),
    (Reference(("show_id",), ("public", "shows"), ("id",)),),
)  # fmt: skip
LEFT = ("cents_left", "seats_left", "total_left", "remaining_amount", "amountRemaining", "seats_available", "free_capacity")
WHOLES = [
    (template.name, word.name)
    for template in TEMPLATES.values()
    for word in template.words
    if isinstance(word, ColumnWord) and word.is_whole
]


@pytest.mark.parametrize(("template", "word"), WHOLES)
def test_what_is_left_is_never_taken_for_the_whole_but_asked_for(template: str, word: str) -> None:
    for name in (*LEFT, "price"):
        shows = FoundTable("public", "shows", {"id": Holds.NUMBERS, name: Holds.NUMBERS}, ("id",))
        with pytest.raises(UsageError, match=rf"fits the word {word}\b") as asked:
            fill(TEMPLATES[template], [shows, SOLD], {"table": "shows"})
        assert f"--set {word}=NAME. Its columns are: id, {name}." in (asked.value.hint or "")
        if template == "counter-equals-count":
            assert fill(TEMPLATES[template], [shows, SOLD], {"table": "shows", word: name}).columns[word] == (name,)


def test_there_are_wholes_in_templates_of_sums_and_of_rows() -> None:
    assert len(WHOLES) >= 6
