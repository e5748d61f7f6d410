"""An invariant that a race cannot be asked about is told with the row of the user's that is to blame."""

from typing import Any, cast

import pytest

from integrity.errors import UsageError
from integrity.race.judge.checks import LeftOut
from integrity.race.judge.contest import Ground
from integrity.race.reproduce import _asking_only

VIOLATED = LeftOut("cards/card-adds-up", "the rows of the race violate it", "operations/withdraw.sql:4: row 'card'")
REFUSED = LeftOut("cards/card-adds-up", "the database refuses it")


@pytest.mark.parametrize(
    ("left_out", "hint"),
    [
        (VIOLATED, "Mend operations/withdraw.sql:4: row 'card', on which the race is played; or see the rows themselves: "),
        (REFUSED, "See the rows themselves: "),
    ],
)
def test_it_says_which_row_to_mend_where_one_is_to_blame(left_out: LeftOut, hint: str) -> None:
    ground = Ground(cast("Any", None), cast("Any", {}), (), (left_out,))
    with pytest.raises(UsageError, match="cannot be asked about the rows of a race") as refused:
        _asking_only(ground, "cards/card-adds-up")
    assert refused.value.hint == f"{hint}integrity validate --select cards/card-adds-up"
