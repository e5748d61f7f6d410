"""Wanted rows: what somebody says of the rows of a race, and leaves the rest to be made.

A stage lists every row with every value that it must have. A wanted row names a table and the values that matter: the rows
that its foreign keys need, and values of its other required columns, are made when the tables are known.

    -- row wallet: wallets(balance_minor = 100)
    -- row payment: payments(wallet_id = :wallet, amount_minor = 30, currency = :wallet.currency)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from integrity.sql.place import WrittenAt
from integrity.user_code import written_by_caller


@dataclass(frozen=True, slots=True)
class WantedRow:
    """One row that a race is to be played on.

    Args:
        key: the name it gets, "wallet": by which later rows refer to it and calls get its primary key.
        table: as SQL names it: "wallets", "shop.wallets", '"Wallet"', 'shop."Wallet"'.
        values: column, as SQL names it -> an SQL expression as text, "100", "'EUR'", "now()"; or the key of a row before
            it, ":wallet", or of one of its columns, ":wallet.currency". A column that is left out is made.
        written_at: where it was asked for; by default the line of the user's that makes it.
    """

    key: str
    table: str
    values: Mapping[str, str] = field(default_factory=dict)
    written_at: WrittenAt = field(default=WrittenAt(), compare=False)

    def __post_init__(self) -> None:
        written = None if self.written_at.path else written_by_caller()
        if written is not None and written.text:
            object.__setattr__(self, "written_at", WrittenAt(written.path, written.line, written.text))
