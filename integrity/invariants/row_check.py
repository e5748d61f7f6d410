"""Row checks: a query over the rows of one table, whose where clause says which are wrong."""

from collections.abc import Sequence

from sqlglot import exp

from integrity.engines.facts import Facts, Table, TableName, is_own
from integrity.engines.scan import ROW, Source, Words
from integrity.engines.spelling import Spelling
from integrity.invariants.proof import NoRow
from integrity.invariants.syntax import (
    SURE,
    Unlike,
    alias_of,
    could_aggregate,
    fold,
    has_any,
    is_to_text,
    name_of,
    plain_table,
    table_of,
)
from integrity.sql.tokens import Token, code_tokens, cut_name, spliced


def find_row_check(text: str, query: exp.Query, facts: Facts, spelling: Spelling) -> NoRow:
    """Return the row check that the query is (shape 1), its predicate word by word as the file has it.

    It is whole where nothing but the predicate says how many rows there are, and that the query does not fail on one.

    Raises:
        Unlike: it is something else.
    """
    if not isinstance(query, exp.Select) or has_any(query, ("joins", "group", "having", "distinct", "with_", "laterals")):
        raise Unlike("more than rows of one table")
    if has_any(query, ("limit", "offset", "windows", "qualify", "fetch")):
        raise Unlike("a limit")
    table = table_of(query.args.get("from_"))
    where = query.args.get("where")
    if where is None:
        raise Unlike("no where clause")
    if list(query.find_all(exp.Query)) != [query] or query.find(exp.Window) or could_aggregate(query):
        raise Unlike("a subquery, a window or what may be an aggregate")
    alias = alias_of(table)
    for column in where.find_all(exp.Column):
        is_row = not column.table and fold(column.name) == fold(alias)
        if column.args.get("db") or isinstance(column.this, exp.Star) or is_row:
            raise Unlike("a column that cannot be told from the row")
    predicate = _cut_where(text, alias, spelling)
    known = facts.get(TableName(name_of(table.args.get("db")), name_of(table.this)), Table())
    is_whole = known.is_stored and all(_is_sure(column, known, spelling) for column in query.expressions)
    return NoRow(Source(plain_table(table)), Words(predicate), is_whole=is_whole)


def _is_sure(shown: exp.Expr, table: Table, spelling: Spelling) -> bool:
    """Whether it is one value a row, and there is no row that it fails on: `100 / price` is none where the price is 0."""
    if not all(isinstance(node, SURE) or is_to_text(node) for node in shown.walk()):
        return False
    if not spelling.is_typed:  # its catalogue tells no columns, and there are no casts of one's own
        return True
    # A function of the row can be written as a column of it.
    columns = [column for column in shown.find_all(exp.Column) if not isinstance(column.this, exp.Star)]
    known = [table.columns.get(name_of(column.this)) for column in columns]
    return all(known) and not (shown.find(exp.Cast) and any(column and is_own(column.type) for column in known))


def _cut_where(text: str, alias: str, spelling: Spelling) -> str:
    """Return the where clause's text with `alias.` replaced: the file's own words, not the parser's."""
    tokens = code_tokens(text)
    start = next(number for number, token in enumerate(tokens) if token.is_word("where")) + 1
    behind = range(start, len(tokens))
    end = next((number for number in behind if tokens[number].is_sign(";") or _is_order_by(tokens, number)), len(tokens))
    last = tokens[end - 1]
    qualifiers = [
        (tokens[number], ROW)
        for number in range(start, end)
        if _is_qualifier(tokens, number, alias, ignores_case=spelling.folds_quoted_names)
    ]
    return spliced(text[: last.end], qualifiers)[tokens[start].start :]


def _is_order_by(tokens: Sequence[Token], number: int) -> bool:
    return tokens[number].is_word("order") and any(token.is_word("by") for token in tokens[number + 1 : number + 2])


def _is_qualifier(tokens: Sequence[Token], number: int, alias: str, *, ignores_case: bool) -> bool:
    name = tokens[number]
    is_dotted = number + 1 < len(tokens) and tokens[number + 1].is_sign(".")
    is_inner = tokens[number - 1].is_sign(".")
    alias = cut_name(alias)
    is_alias = fold(name.text) == fold(alias) if ignores_case else name.text == alias
    return name.is_name and is_dotted and not is_inner and is_alias
