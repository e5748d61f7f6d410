"""A hold on a database: somebody works there."""

from contextlib import AbstractContextManager, nullcontext


class Hold:
    """A hold on a database; `rename` says who has it when that is known only later."""

    def rename(self, who: str) -> None:
        """Say who works there."""

    def alone(self, why: str) -> AbstractContextManager[None]:
        """Hold the part alone for the block: nobody else works on it or on all of the database, and nobody begins to.

        Args:
            why: that is needed, for whoever is refused.

        Raises:
            DatabaseError: somebody else works on it.
            Unreachable: the hold is lost.
        """
        return nullcontext()
