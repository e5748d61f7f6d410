"""Templates of invariants: what has to be known of a database before the query can be written.

A word stands for a table, for columns or for values. Whoever uses a template gives those that he wants to give; the others
are found among what the database has (filling.py), and written into the query (rendering.py). `table` is the first word of
every template.
"""

from dataclasses import dataclass

from integrity.drafts.found import Holds


@dataclass(frozen=True, slots=True)
class TableWord:
    """A table.

    Args:
        says: what it is, in a few words.
        names: patterns of names, the likeliest first.
        refers_to, referred_by: the word of a table that this one refers to, or that refers to this one; empty: none.
        named_by: the word of a column whose name tells the table, as `wallet_id` tells `wallets`; empty: none.
    """

    name: str
    says: str
    names: tuple[str, ...] = ()
    refers_to: str = ""
    referred_by: str = ""
    named_by: str = ""


@dataclass(frozen=True, slots=True)
class ColumnWord:
    """A column, or several.

    Args:
        holds: what it must hold; None: anything.
        names: patterns of names, the likeliest first.
        of: the word of its table.
        least: how many columns it needs; more than 0: it takes a list.
        is_optional: the query does without where nothing fits the names.
        is_whole: it says how much, or how many, there are in all: what is left of that is something else.
    """

    name: str
    says: str
    holds: Holds | None = None
    names: tuple[str, ...] = ()
    of: str = "table"
    least: int = 0
    is_optional: bool = False
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class ReferenceWord:
    """The columns by which one table refers to another.

    Args:
        of, to: the words of the two.
    """

    name: str
    says: str
    of: str
    to: str = "table"


@dataclass(frozen=True, slots=True)
class ValuesWord:
    """Values that stand in the query, as texts.

    Args:
        default: what they are where nobody says.
        of: the word of the column whose values they are.
        made_from: the word of a column whose name tells them, as `paid_at` tells `paid`; empty: none.
    """

    name: str
    says: str
    default: str = ""
    made_from: str = ""
    of: str = "status"


Word = TableWord | ColumnWord | ReferenceWord | ValuesWord

TABLE = TableWord("table", "the table that it is about")


@dataclass(frozen=True, slots=True)
class Template:
    """What most applications of a kind must hold, to be fitted to one of them.

    Args:
        title: of the invariant, with words in braces.
        words: what it has to know beside the table, in the order in which it is found out.
        query: with words in braces.
        why, hint, parameter: of the header.
    """

    name: str
    title: str
    words: tuple[Word, ...]
    query: str
    why: str
    hint: str = ""
    parameter: str = ""

    @property
    def all_words(self) -> tuple[Word, ...]:
        return (TABLE, *self.words)
