"""What a connection of SQLAlchemy's is for; each engine has settings of a session for it."""

from enum import Enum


class Purpose(Enum):
    """WORK: what may take long. OWN: statements that are all ours and name every schema. REFLECTING: reading tables."""

    WORK = "work"
    OWN = "own"
    REFLECTING = "reflecting"
