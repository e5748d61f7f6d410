"""Checks of columns that the server computes, said of the columns that these are made of: only those can be proposed."""

from integrity.seeds.schema.tables import Check, SchemaTable
from integrity.sql.tokens import code_tokens, spliced


def spelled_out(table: SchemaTable, check: Check) -> Check:
    """Return the check with each computed column's expression in its place."""
    computed = {name: table.columns[name] for name in check.columns if table.columns[name].is_generated}
    if not computed:
        return check
    edits, columns = [], [name for name in check.columns if name not in computed]
    for token in code_tokens(check.text):
        if token.is_name and token.text in computed:
            column = computed[token.text]
            edits.append((token, f"(({column.default})::{column.type.name})"))
            columns += [each.text for each in code_tokens(column.default) if each.is_name and each.text in table.columns]
    return Check(check.name, spliced(check.text, edits), tuple(dict.fromkeys(columns)))
