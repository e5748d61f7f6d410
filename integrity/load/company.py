"""Company: the other processes that make calls of the same run, where there are any, and when they wait for each other."""

from typing import Protocol

from integrity.load.phases import Phase, Piece, Pieces


class Company(Protocol):
    """What the processes of a run agree on."""

    async def opened(self) -> None:
        """All connections are open here; return when calls may begin, as they are everywhere."""
        ...

    async def next_piece(self, pieces: Pieces, ended: Phase | None) -> Piece | None:
        """Return the piece of the load's shape that follows the phase that ended; None: the run is over."""
        ...

    async def delivered(self, *, is_all: bool) -> bool:
        """Say whether everything owed was delivered here; return whether this process is to take up what is open."""
        ...

    async def swept(self) -> None:
        """Return when what was open has been taken up, here or elsewhere."""
        ...


class Alone:
    """One process makes all the calls."""

    async def opened(self) -> None:
        return

    async def next_piece(self, pieces: Pieces, ended: Phase | None) -> Piece | None:
        return pieces.next(ended)

    async def delivered(self, *, is_all: bool) -> bool:
        return is_all

    async def swept(self) -> None:
        return
