"""A hold on a database: somebody works there."""


class Hold:
    """A hold on a database; `rename` says who has it when that is known only later."""

    def rename(self, who: str) -> None:
        """Say who works there."""
