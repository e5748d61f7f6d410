"""One statement of an operation's file: which step it is, which values it uses, and which columns it returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from integrity.operation import Statement
from integrity.sql.parameters import Mark, marks_in, unquote_parameters
from integrity.sql.tokens import Token, TokenKind, code_tokens, spliced, tokenize

_QUERIES = frozenset({"select", "values", "table", "show", "explain", "fetch", "execute", "call"})
_OF_THE_SESSION = frozenset({"savepoint", "release", "rollback", "set", "reset", "lock", "listen", "notify", "show"})


@dataclass(frozen=True)
class Command:
    """A statement.

    Args:
        text: as it was written.
        sql: without its comments.
        used: the names of the values that it uses, with where they stand in `text`.
    """

    text: str
    sql: str
    used: tuple[tuple[str, int], ...]

    def statement(self, values: Mapping[str, Any]) -> Statement:
        """Return the step that it is.

        Args:
            values: of all that it uses, by name.
        """
        given = {mark.name: values[mark.name] for mark in self._marks}
        return Statement(self._plain, given, quoted=self._quoted)

    @cached_property
    def may_write(self) -> bool:
        """Whether it may insert or change rows, as far as its first word tells."""
        return next((token.text for token in code_tokens(self.sql)), "") not in _OF_THE_SESSION

    @cached_property
    def has_rows(self) -> bool:
        """Whether it returns rows at all, as far as its text tells."""
        words = [token.text for token in code_tokens(self.sql) if token.kind is TokenKind.WORD]
        if "returning" in words or (words and words[0] in _QUERIES):
            return True
        from sqlglot import exp

        tree = self.tree if words[:1] == ["with"] else None
        return words[:1] == ["with"] and (tree is None or isinstance(tree, exp.Query))

    @cached_property
    def columns(self) -> tuple[str, ...] | None:
        """The names of its columns; None: only the server knows."""
        from sqlglot import exp

        tree = self.tree
        if tree is None:
            return None
        returning = tree.args.get("returning")
        selects = returning.expressions if returning else tree.selects if isinstance(tree, exp.Query) else []
        names = []
        for each in selects:
            inner = each.unalias()
            if not each.alias and not (isinstance(inner, exp.Column) and not isinstance(inner.this, exp.Star)):
                return None
            identifier = each.args.get("alias") or inner.this
            is_quoted = isinstance(identifier, exp.Identifier) and identifier.args.get("quoted")
            names.append(each.alias_or_name if is_quoted else each.alias_or_name.lower())
        return tuple(names) or None

    @cached_property
    def tables(self) -> frozenset[str] | None:
        """The tables that it names, as "schema.table" or "table"; None: its text does not tell."""
        from sqlglot import exp

        if self.tree is None:
            return None
        ctes = {each.alias for each in self.tree.find_all(exp.CTE)}
        found = (table for table in self.tree.find_all(exp.Table) if table.db or table.name not in ctes)
        return frozenset(f"{table.db}.{table.name}" if table.db else table.name for table in found)

    @cached_property
    def tree(self) -> Any:
        """Its syntax tree; None where the parser does not know it."""
        from sqlglot import exp

        from integrity.sql.query import find_tree

        tree = find_tree(unquote_parameters(self.sql))
        return None if isinstance(tree, exp.Command) else tree

    @cached_property
    def _marks(self) -> tuple[Mark, ...]:
        return marks_in(self.sql)

    @cached_property
    def _plain(self) -> str:
        quoted = [each for each in self._marks if each.is_quoted]
        return spliced(self.sql, [(Token(TokenKind.STRING, "", each.start, each.end), f":{each.name}") for each in quoted])

    @cached_property
    def _quoted(self) -> frozenset[str]:
        return frozenset(each.name for each in self._marks) - {each.name for each in self._marks if not each.is_quoted}


def read_command(text: str) -> Command:
    """Return the statement that the text is."""
    return Command(text, _without_comments(text), tuple((mark.name, mark.start) for mark in marks_in(text)))


def _without_comments(text: str) -> str:
    bare = spliced(text, [(token, " ") for token in tokenize(text) if token.kind is TokenKind.COMMENT])
    return "\n".join(line.rstrip() for line in bare.splitlines() if line.strip()).strip()
