"""What a system says of itself."""

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table

from integrity.errors import UsageError
from integrity.systems.system import System


def _table(metadata: MetaData, schema: str | None, name: str, parent: str = "") -> Table:
    refers = [ForeignKey(parent)] if parent else []
    return Table(name, metadata, Column("id", Integer, *refers, primary_key=True), schema=schema)


@pytest.mark.parametrize(
    ("schemas", "expected"),
    [
        pytest.param(("bank", "bank"), ("bank",), id="one schema of another name"),
        pytest.param(("ledger", "app"), ("ledger", "app"), id="several, parents first"),
        pytest.param((None, "public"), ("public",), id="the default schema is public"),
        pytest.param(("public", None), ("public",), id="and so is one that says so"),
    ],
)
def test_the_schemas_of_a_system_are_those_of_its_tables(
    schemas: tuple[str | None, str | None], expected: tuple[str, ...]
) -> None:
    metadata = MetaData()
    parent = _table(metadata, schemas[0], "z_parent")
    _table(metadata, schemas[1], "a_child", f"{parent.fullname}.id")
    system = System(name="mine", title="", metadata=metadata, operations={}, services={}, pools={})
    assert system.schemas == expected


@pytest.mark.parametrize(("name", "schema"), [("integrity", "bank"), ("bank", "integrity")])
def test_no_system_takes_the_name_of_our_own_books(name: str, schema: str) -> None:
    metadata = MetaData()
    _table(metadata, schema, "accounts")
    with pytest.raises(UsageError, match="integrity is the name of our own books"):
        System(name=name, title="", metadata=metadata, operations={}, services={}, pools={})
