"""An application, as this folder needs to know a system: by its name and its tables."""

from typing import Protocol

from sqlalchemy import MetaData


class Application(Protocol):
    """Whose tables are made, noted, altered and dropped together. A System is one."""

    @property
    def name(self) -> str:
        """Under which its tables are noted; its views of the histories are called by it."""
        ...

    @property
    def metadata(self) -> MetaData:
        """Its tables, in one schema or in several."""
        ...

    @property
    def schemas(self) -> tuple[str, ...]:
        """The schemas that they stand in."""
        ...
