"""What came back: an answer, or that there was none."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    Args:
        status: of HTTP.
        headers: by lowercase name; of several with one name the last. They may hold secrets, and are not shown.
        text: its body, as far as it was read.
        url: that gave it.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    text: str = field(default="", repr=False)
    url: str = field(default="", repr=False)

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Return its body as a value.

        Raises:
            ValueError: it is no JSON.
        """
        return json.loads(self.text)


class Unanswered(Exception):
    """No answer came: no connection, one that was closed, or the time was up. `str` says which, in a few words.

    Args:
        was_sent: the application may have got the request, and done what it asks.
    """

    def __init__(self, reason: str, *, was_sent: bool = True) -> None:
        super().__init__(reason)
        self.was_sent = was_sent
