"""Random schemas and data, on which a plan is to say what the plain query says.

Few names, few values and few conditions, so that what could be mixed up is there to be mixed up: columns of one name in
several tables, the same condition in an index and in a query, rows that are the same but for a null, sums that are right.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

TABLE_NAMES = ("account", '"Entry"', '"order"', "Wallet", '"Été"', '"a b"', "x", '"X"')
COLUMN_NAMES = {
    "key": ("id", '"Id"'),
    "ref": ("ref", '"parentId"'),
    "amount": ("amount", '"Amount"'),
    "stored": ("stored", '"storedTotal"'),
    "kind": ("kind", '"Kind"'),
    "flag": ("is_gone", '"isGone"'),
    "at": ("deleted_at", '"deletedAt"'),
}
KEY_TYPES = {
    "int": 4, "bigint": 4, "smallint": 1, "numeric": 1, "double precision": 1, "text": 2, "varchar(9)": 2, "char(4)": 1,
    "uuid": 2,
}  # fmt: skip
NUMBER_KEYS = ("int", "bigint", "numeric", "double precision")
AMOUNT_TYPES = ("bigint", "int", "numeric", "numeric(9, 2)", "money_minor", "double precision")
SQLITE_TYPES = {"double precision": "real", "timestamptz": "text", "uuid": "text", "money_minor": "bigint"}
ATOMS = {
    "flag": ("{}", "not {}", "{} is not null", "{} = true", "{} is true"),
    "kind": ("{} = 'a'", "{} = 'b'", "{} <> 'a'", "{} is null", "{} is not null", "{} in ('a', 'c')", "{} > 'zz'"),
    "at": ("{} is null", "{} is null", "{} is not null", "{} < '2024-06-01 00:00:00+00'", "{} > '2090-01-01 00:00:00+00'"),
    "amount": ("{} > 0", "{} < 0", "{} = 1", "{} is null", "{} is not null", "{} > 100", "{} between 0 and 1", "{} <> 0"),
    "stored": ("{} > 0", "{} < 0", "{} = 1", "{} is null", "{} < -100", "{} >= -2", "{} <> {} + 1"),
    "ref": ("{} is null", "{} is not null"),
    "key": ("{} is not null",),
}
TOO_BIG = (9007199254740992, 9007199254740993)
"""One double precision, two bigints."""


@dataclass(frozen=True)
class Column:
    role: str
    name: str
    type: str
    is_required: bool


@dataclass(frozen=True)
class RandomTable:
    """A table, or a view of one.

    Args:
        heir: the name of a table that inherits from it; empty: there is none.
        source: the table that a view shows; empty for a table.
    """

    name: str
    columns: tuple[Column, ...]
    indexes: tuple["Index", ...] = ()
    key_is_primary: bool = False
    heir: str = ""
    source: str = ""

    def of(self, role: str) -> Column | None:
        return next((column for column in self.columns if column.role == role), None)


@dataclass(frozen=True)
class Index:
    """A unique index: what it is over, of which rows, and all that is written behind the table's name."""

    keys: tuple[Column, ...]
    atoms: tuple[tuple[str, str], ...]
    text: str

    @property
    def is_strict(self) -> bool:
        """Whether null, too, is there once."""
        return "nulls not distinct" in self.text or all(key.is_required for key in self.keys)


@dataclass(frozen=True)
class RandomWorld:
    """A schema.

    Args:
        pair: a parent and its parts: the sums of one are mostly what the other stores.
        condition: which parts are summed up, with `{role}` for a column; empty: all.
    """

    tables: tuple[RandomTable, ...]
    pair: tuple[RandomTable, RandomTable]
    condition: tuple[str, str] | None
    favourites: tuple[tuple[str, str], ...]
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Fill:
    """Statements that replace all rows, and those that put the stored sums right, each of which may fail."""

    statements: tuple[str, ...]
    mends: tuple[str, ...] = field(default=())


def make_world(random: Random, *, is_sqlite: bool) -> RandomWorld:
    names = random.sample(TABLE_NAMES, 4)
    if is_sqlite and {"x", '"X"'} <= set(names):  # one name there
        names[names.index('"X"')] = '"x2"'
    favourites = tuple((role, random.choice(ATOMS[role])) for role in ("flag", "kind", "at", "amount"))
    key_type = random.choices(list(KEY_TYPES), list(KEY_TYPES.values()))[0]
    spelled = {role: random.choices(spellings, (3, 1))[0] for role, spellings in COLUMN_NAMES.items()}
    tables = [_table(random, name, key_type, favourites, spelled, is_sqlite=is_sqlite) for name in names[:3]]
    if random.random() < 0.2:
        tables.append(RandomTable(names[3], tables[0].columns, source=tables[0].name))
    parents = [table for table in tables[:3] if table.of("stored") and table.key_is_primary] or tables[:3]
    condition = random.choice(favourites) if random.random() < 0.4 else None
    parent = random.choice(parents)
    others = [table for table in tables[:3] if table is not parent or random.random() < 0.1]
    pair = (parent, random.choice(others))
    statements = ["create domain money_minor as bigint"] if not is_sqlite else []
    for table in tables:
        statements += _created(table, is_sqlite=is_sqlite)
    return RandomWorld(tuple(tables), pair, condition, favourites, tuple(statements))


def _table(
    random: Random,
    name: str,
    key_type: str,
    favourites: tuple[tuple[str, str], ...],
    spelled: Mapping[str, str],
    *,
    is_sqlite: bool,
) -> RandomTable:
    columns, key_is_primary = [], random.random() < 0.75
    for role, spellings in COLUMN_NAMES.items():
        if role not in ("key", "ref", "amount") and random.random() < 0.25:
            continue
        kind = {"kind": "text", "flag": "boolean", "at": "timestamptz"}.get(role, "")
        if role in ("amount", "stored"):
            kind = random.choices(AMOUNT_TYPES, (4, 3, 4, 1, 1, 1))[0]
        if role in ("key", "ref"):
            kind = random.choice(NUMBER_KEYS) if key_type in NUMBER_KEYS and random.random() < 0.15 else key_type
        required = random.random() < {"key": 0.7, "ref": 0.3}.get(role, 0.4) or (role == "key" and key_is_primary)
        column_name = spelled[role] if random.random() < 0.85 else random.choice(spellings)
        columns.append(Column(role, column_name, kind, required))
    indexes = tuple(_index(random, columns, favourites, is_sqlite=is_sqlite) for _ in range(random.choice((0, 1, 1, 2))))
    heir = f'"{name.strip(chr(34))} heir"' if not is_sqlite and random.random() < 0.1 else ""
    return RandomTable(name, tuple(columns), indexes, key_is_primary=key_is_primary, heir=heir)


def _index(random: Random, columns: list[Column], favourites: tuple[tuple[str, str], ...], *, is_sqlite: bool) -> Index:
    usable = [column for column in columns if column.role not in ("amount", "stored")]
    keys = random.sample(usable, min(len(usable), random.choice((1, 1, 2, 2, 3))))
    if len(keys) == 1 and keys[0].role == "flag":  # which would leave three rows
        keys = [column for column in usable if column.role == "ref"]
    first = keys[0].name
    first = f"coalesce({first}, {first})" if random.random() < 0.1 else first
    text = f"({', '.join([first, *(key.name for key in keys[1:])])})"
    if not is_sqlite and random.random() < 0.35:
        text += " nulls not distinct"
    roles = {column.role: column.name for column in columns}
    usable_atoms = [(role, atom) for role, atom in favourites if role in roles]
    chosen: list[tuple[str, str]] = []
    if usable_atoms and random.random() < 0.5:
        chosen = random.sample(usable_atoms, min(len(usable_atoms), random.choice((1, 1, 2))))
        text += " where " + " and ".join(atom.replace("{}", roles[role]) for role, atom in chosen)
    return Index(tuple(keys), tuple(chosen), text)


def _created(table: RandomTable, *, is_sqlite: bool) -> Iterator[str]:
    if table.source:
        yield f"create view {table.name} as select * from {table.source}"
        return
    columns = []
    for column in table.columns:
        kind = SQLITE_TYPES.get(column.type, column.type) if is_sqlite else column.type
        primary = " primary key" if column.role == "key" and table.key_is_primary else ""
        columns.append(f"{column.name} {kind}{primary}{' not null' if column.is_required else ''}")
    yield f"create table {table.name} ({', '.join(columns)})"
    for number, index in enumerate(table.indexes):
        yield f'create unique index "{table.name.strip(chr(34))}_{number}" on {table.name} {index.text}'
    if table.heir:
        yield f"create table {table.heir} () inherits ({table.name})"


def make_fill(random: Random, world: RandomWorld, *, is_sqlite: bool) -> Fill:
    """Return new rows for the world; some tables stay empty, and in some the amounts come with their opposites."""
    statements, mends = [], []
    is_mended = random.random() < 0.7
    for table in world.tables:
        if table.source:
            continue
        heirs = [table.heir] if table.heir else []
        statements += [f"delete from {name}" for name in [*heirs, table.name]]
        if random.random() < 0.06:
            continue
        is_mirrored = random.random() < 0.4
        for name in [table.name, *heirs]:
            rows = []
            for _ in range(random.randint(1, 9 if name == table.name else 2)):
                row = {column.role: _value(random, column, is_wild=not is_mended) for column in table.columns}
                rows.append(row)
                if is_mirrored and row["amount"].lstrip("-").isdigit():
                    other = {"key": _value(random, table.columns[0], is_wild=False), "amount": f"-({row['amount']})"}
                    rows.append({**row, **other})
            values = ", ".join(f"({', '.join(row.values())})" for row in rows)
            statements.append(f"insert into {name} values {values} on conflict do nothing")
    if is_mended:
        mends = list(_mends(world))
    return Fill(tuple(statements), tuple(mends))


def _mends(world: RandomWorld) -> Iterator[str]:
    parent, parts = world.pair
    key, stored, ref, amount = parent.of("key"), parent.of("stored"), parts.of("ref"), parts.of("amount")
    if not (key and stored and ref and amount) or parent is parts:
        return
    known = f"select {key.name} from {parent.name} where {key.name} is not null"
    yield f"delete from {parts.name} where {ref.name} not in ({known})"
    condition = ""
    if world.condition:
        column = parts.of(world.condition[0])
        condition = f" and {world.condition[1].replace('{}', f'parts.{column.name}')}" if column else ""
    yield (
        f"update {parent.name} set {stored.name} = coalesce((select sum(parts.{amount.name}) from {parts.name} as parts "
        f"where parts.{ref.name} = {parent.name}.{key.name}{condition}), 0)"
    )


def _value(random: Random, column: Column, *, is_wild: bool) -> str:
    if not column.is_required and random.random() < 0.35:
        return "null"
    if column.role in ("key", "ref"):
        return _key(random, column.type)
    is_numeric = column.type.startswith("numeric")
    if is_wild and column.type == "numeric" and random.random() < 0.08:
        return random.choice(("'NaN'", "'Infinity'", "'-Infinity'"))
    values = {
        "kind": ("'a'", "'a'", "'b'", "'A'", "''"),
        "flag": ("true", "false", "false"),
        "at": ("'2024-01-01 00:00:00+00'", "'2024-01-02 00:00:00+00'", "'infinity'"),
    }
    return random.choice(values.get(column.role, ("-2", "-1", "0", "0", "1", "1", "2", "5", "1.5" if is_numeric else "3")))


def _key(random: Random, kind: str) -> str:
    number = random.randint(1, 5)
    if kind == "uuid":
        return f"'00000000-0000-0000-0000-00000000000{number}'"
    if kind in ("text", "varchar(9)", "char(4)"):
        return random.choice((f"'{number}'", f"'{number}'", f"'{number} '"))
    if kind in ("bigint", "numeric", "double precision") and random.random() < 0.15:
        return str(random.choice(TOO_BIG))
    return str(number)
