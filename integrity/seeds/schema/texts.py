"""Values of a column as text that the server reads as its type: what a column's candidates are made of.

Nothing here is certain to satisfy a check: the server is asked (`judge.py`).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta

from integrity.seeds.schema.dice import Dice
from integrity.seeds.schema.tables import Column, Type

NUMBERS = ("int2", "int4", "int8", "numeric", "float4", "float8", "money", "oid")
TEXTS = ("text", "varchar", "bpchar", "citext", "name", "char")
TIMES = ("timestamptz", "timestamp", "date")

SYLLABLES = ("ka", "lo", "mi", "ne", "ru", "sa", "to", "vi", "be", "do", "fa", "gi", "ho", "ju", "pe", "qua")


def make_text(column: Column, dice: Dice, first_day: date, days: int) -> str | None:
    """Return a value of the column's type; None: nothing is known of the type."""
    kind = column.type
    if kind.is_array:
        element = Type(kind.name, kind.base, "", kind.send, kind.modifier, kind.labels, is_builtin=kind.is_builtin)
        items = [make_text(Column(column.name, element), dice, first_day, days) for _ in range(dice.between(1, 3))]
        return None if None in items else "{" + ",".join(_quoted_item(item or "") for item in items) + "}"
    if kind.labels:
        return dice.choose(kind.labels)
    if kind.base in TEXTS:
        return make_word(column.name, dice)[: kind.length_most]
    if kind.base in TIMES:
        moment = datetime.combine(first_day, datetime.min.time(), UTC) + timedelta(seconds=dice.below(days * 86_400))
        return write_time(moment, kind.base)
    if kind.base == "numeric":
        precision, scale = kind.precision
        number = dice.below(10 ** min(precision, 4 + max(scale, 0)))
        return f"{number / 10**scale:.{scale}f}" if scale > 0 else str(number)
    maker = _MAKERS.get(kind.base)
    return maker(dice, kind) if maker else None


def write_time(moment: datetime, base: str) -> str:
    """Return a moment as text."""
    return {"date": f"{moment:%Y-%m-%d}", "timestamp": f"{moment:%Y-%m-%d %H:%M:%S}"}.get(
        base, f"{moment:%Y-%m-%d %H:%M:%S}+00"
    )


def make_word(name: str, dice: Dice) -> str:
    """Return a text that suits a column's name."""
    word = "".join(dice.choose(SYLLABLES) for _ in range(3))
    for part, maker in _NAMED.items():
        if part in name.lower():
            return maker(word, dice)
    return f"{word} {''.join(dice.choose(SYLLABLES) for _ in range(2))}"


_NAMED: Mapping[str, Callable[[str, Dice], str]] = {
    "email": lambda word, _: f"{word}@example.org",
    "url": lambda word, _: f"https://example.org/{word}",
    "phone": lambda _, dice: f"+4930{dice.below(10**7):07}",
    "slug": lambda word, _: word,
    "code": lambda word, dice: f"{word[:2]}{dice.below(1000):03}",
    "currency": lambda _, dice: dice.choose(("EUR", "USD", "CHF", "GBP")),
    "country": lambda _, dice: dice.choose(("DE", "FR", "CH", "GB", "US")),
    "locale": lambda _, dice: dice.choose(("de", "fr", "en")),
    "language": lambda _, dice: dice.choose(("de", "fr", "en")),
}


def _quoted_item(item: str) -> str:
    escaped = item.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _number(dice: Dice, _type: Type) -> str:
    return str(dice.below(1000))


def _moment(dice: Dice) -> str:
    return f"2025-0{dice.between(1, 9)}-{dice.between(10, 28)}"


def _bits(dice: Dice, kind: Type) -> str:
    return "".join(dice.choose("01") for _ in range(max(1, kind.modifier)))


def _range(dice: Dice, _type: Type) -> str:
    least = dice.below(1000)
    return f"[{least},{least + dice.between(1, 50)})"


def _time_range(dice: Dice, _type: Type) -> str:
    least = date.fromisoformat(_moment(dice))
    return f"[{least},{least + timedelta(days=dice.between(1, 5))})"


def _point(dice: Dice) -> str:
    return f"({dice.below(100)},{dice.below(100)})"


_MAKERS: Mapping[str, Callable[[Dice, Type], str]] = {
    "int2": _number,
    "int4": _number,
    "int8": _number,
    "float4": _number,
    "float8": _number,
    "money": _number,
    "oid": _number,
    "xid": _number,
    "bool": lambda dice, _: dice.choose(("true", "false")),
    "uuid": lambda dice, _: f"{dice.below(2**32):08x}-0000-4000-8000-{dice.below(2**48):012x}",
    "json": lambda dice, _: f'{{"{dice.choose(SYLLABLES)}": {dice.below(100)}}}',
    "jsonb": lambda dice, _: f'{{"{dice.choose(SYLLABLES)}": {dice.below(100)}}}',
    "bytea": lambda dice, _: f"\\x{dice.below(2**64):016x}",
    "time": lambda dice, _: f"{dice.below(24):02}:{dice.below(60):02}:00",
    "timetz": lambda dice, _: f"{dice.below(24):02}:{dice.below(60):02}:00+00",
    "interval": lambda dice, _: f"{dice.between(1, 72)} hours",
    "inet": lambda dice, _: f"10.{dice.below(256)}.{dice.below(256)}.{dice.below(256)}",
    "cidr": lambda dice, _: f"10.{dice.below(256)}.{dice.below(256)}.0/24",
    "macaddr": lambda dice, _: f"02:00:00:{dice.below(256):02x}:{dice.below(256):02x}:{dice.below(256):02x}",
    "macaddr8": lambda dice, _: f"02:00:00:00:00:{dice.below(256):02x}:{dice.below(256):02x}:{dice.below(256):02x}",
    "bit": _bits,
    "varbit": _bits,
    "point": lambda dice, _: _point(dice),
    "lseg": lambda dice, _: f"[{_point(dice)},{_point(dice)}]",
    "box": lambda dice, _: f"{_point(dice)},{_point(dice)}",
    "path": lambda dice, _: f"[{_point(dice)},{_point(dice)}]",
    "polygon": lambda dice, _: f"({_point(dice)},{_point(dice)},{_point(dice)})",
    "circle": lambda dice, _: f"<{_point(dice)},{dice.between(1, 9)}>",
    "line": lambda dice, _: f"{{1,{dice.between(1, 9)},{dice.below(9)}}}",
    "int4range": _range,
    "int8range": _range,
    "numrange": _range,
    "daterange": _time_range,
    "tsrange": _time_range,
    "tstzrange": _time_range,
    "int4multirange": lambda dice, kind: f"{{{_range(dice, kind)}}}",
    "int8multirange": lambda dice, kind: f"{{{_range(dice, kind)}}}",
    "nummultirange": lambda dice, kind: f"{{{_range(dice, kind)}}}",
    "datemultirange": lambda dice, kind: f"{{{_time_range(dice, kind)}}}",
    "tsmultirange": lambda dice, kind: f"{{{_time_range(dice, kind)}}}",
    "tstzmultirange": lambda dice, kind: f"{{{_time_range(dice, kind)}}}",
    "tsvector": lambda dice, _: f"'{dice.choose(SYLLABLES)}' '{dice.choose(SYLLABLES)}'",
    "tsquery": lambda dice, _: f"'{dice.choose(SYLLABLES)}'",
    "xml": lambda dice, _: f"<{dice.choose(SYLLABLES)}/>",
    "hstore": lambda dice, _: f"{dice.choose(SYLLABLES)}=>{dice.below(100)}",
    "ltree": lambda dice, _: f"{dice.choose(SYLLABLES)}.{dice.choose(SYLLABLES)}",
    "pg_lsn": lambda dice, _: f"0/{dice.below(2**31):X}",
    "geometry": lambda dice, _: f"POINT({dice.below(90)} {dice.below(90)})",
    "geography": lambda dice, _: f"POINT({dice.below(90)} {dice.below(90)})",
    "vector": lambda dice, kind: f"[{','.join(str(dice.below(9)) for _ in range(max(1, kind.modifier)))}]",
}
"""By the plain names of types."""
