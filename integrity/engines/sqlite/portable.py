"""Portable: PostgreSQL's SQL written for SQLite, where that can be done without changing what it means.

The translation itself is sqlglot's. It writes some constructs so that they fail on SQLite, and some so that they run and
mean something else, both without a word; those are refused here by name. Each was tried on both engines.
"""

from functools import lru_cache

from sqlglot import exp

from integrity.engines.places import DEFAULT_SCHEMA, MAIN
from integrity.engines.spelling import NotPortable
from integrity.sql.parameters import find_parameters, replace_parameters
from integrity.sql.query import find_query

_REFUSED: dict[type[exp.Expr], str] = {
    exp.Interval: "interval arithmetic (pass the bound as a parameter)",
    exp.CurrentTimestamp: "now() (pass the time as a parameter)",
    exp.CurrentDate: "current_date (pass the date as a parameter)",
    exp.Extract: "extract()",
    exp.TimestampTrunc: "date_trunc()",
    exp.ArrayAgg: "array_agg()",
    exp.Array: "arrays",
    exp.Any: "= any() (write in)",
    exp.RegexpLike: "regular expressions",
    exp.RegexpILike: "regular expressions",
    exp.Like: "like, which ignores case there (write position() or substr())",
    exp.ILike: "ilike",
    exp.JSONExtract: "-> on json",
    exp.JSONBExtract: "#> on json",
    exp.JSONBExtractScalar: "#>> on json",
    exp.ArrayContainsAll: "@>",
    exp.GenerateSeries: "generate_series()",
    exp.ExplodingGenerateSeries: "generate_series()",
    exp.Unnest: "unnest()",
    exp.Explode: "unnest()",
    exp.Lateral: "lateral",
    exp.Avg: "avg(), which is a float there (compare sums and counts)",
    exp.TimeToStr: "to_char()",
}
_TEMPORAL = ("timestamp", "timestamptz", "date", "time", "timetz", "interval")
_DECIMAL = ("decimal", "float", "double")


@lru_cache(maxsize=1024)
def to_sqlite(text: str, *, keeps_names: bool = False) -> str:
    """Return the query for SQLite, with `?1` for its first parameter and so on.

    Args:
        text: one query that was checked before.
        keeps_names: leave `:name` as it is.

    Raises:
        NotPortable: it uses something that would fail there, or mean something else.
    """
    shared = find_query(text)
    if shared is None:
        raise NotPortable("a construct that the parser does not know")
    tree = shared.copy()
    for node in tree.walk():
        _refuse(node)
    name_main_file(tree)
    written = tree.transform(_as_postgresql_has_it).sql(dialect="sqlite", comments=False)
    numbers = {name: number for number, name in enumerate(find_parameters(text), start=1)}
    return written if keeps_names else replace_parameters(written, lambda name: f"?{numbers[name]}")


def name_main_file(tree: exp.Expr) -> None:
    """Let what is named as in the default schema be in the main file, which SQLite calls so."""
    for named in tree.find_all(exp.Table, exp.Column):
        if named.args.get("db") and named.args["db"].name == DEFAULT_SCHEMA:
            named.set("db", exp.to_identifier(MAIN))


def _as_postgresql_has_it(node: exp.Expr) -> exp.Expr:
    """Return `value ->> 'key'` as what gives the same text there: SQLite's own gives numbers, and 1 for true."""
    if not isinstance(node, exp.JSONExtractScalar):
        return node
    path = "$" + "".join(f'."{part.this}"' for part in node.expression.expressions if isinstance(part, exp.JSONPathKey))
    document, place = node.this.copy(), exp.Literal.string(path)
    kind = exp.func("json_type", document, place)
    # By its bare name: sqlglot would write `->`, which keeps the quotes of a text.
    value = exp.cast(exp.Anonymous(this="json_extract", expressions=[document.copy(), place.copy()]), "text")
    return exp.Case(this=kind).when("'true'", "'true'").when("'false'", "'false'").else_(value)


def _refuse(node: exp.Expr) -> None:
    for kind, what in _REFUSED.items():
        if isinstance(node, kind):
            raise NotPortable(what)
    if isinstance(node, exp.Cast) and node.to.this.value.lower() in _TEMPORAL + _DECIMAL:
        raise NotPortable(f"a cast to {node.to.sql('postgres').lower()}")
    if isinstance(node, exp.Div) and node.find(exp.AggFunc):
        raise NotPortable("a division of sums, which is a whole number there")
    if isinstance(node, exp.GroupConcat) and node.find(exp.Order):
        raise NotPortable("string_agg() in an order")
