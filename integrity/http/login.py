"""Logging in, once: what it leaves (cookies, a bearer token) is given to each actor's session."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from integrity.errors import UsageError
from integrity.http.answer import Answer, Unanswered
from integrity.http.request import Request
from integrity.http.values import Values, take

if TYPE_CHECKING:
    from integrity.http.client import Kept, Session


def log_in(session: "Session", requests: Sequence[Request], values: Values, *, bearer: str | None = None) -> "Kept":
    """Send the requests of a login, and return what it leaves.

    Args:
        bearer: where in the last answer a token is, e.g. "$.access_token"; None: there is none, cookies do.

    Raises:
        UsageError: an answer is none, or not as it is expected.
    """
    answer, _ = send_all(session, requests, values, place="login")
    if bearer is None:
        return session.keep()
    if answer is None:
        raise UsageError("login: there is no request whose answer could hold a token", hint="Give [login] requests.")
    token = take(answer, {"bearer": bearer}, place="login")["bearer"]
    return session.keep(headers={"Authorization": f"Bearer {token}"})


def send_all(
    session: "Session", requests: Sequence[Request], values: Values, *, place: str
) -> tuple[Answer | None, dict[str, Any]]:
    """Send requests, each of which must be answered as it expects; return the last answer and all values.

    Args:
        place: what they are for, e.g. "setup".

    Raises:
        UsageError: one was not.
    """
    known = dict(values)
    answer = None
    for request in requests:
        try:
            answer = session.send(request, known)
        except Unanswered as error:
            raise UsageError(
                f"{place}: {request.shown}: {error}", hint="Is the application running, and at this address?"
            ) from None
        if not request.expects(answer.status):
            wanted = f"not {request.expected}" if request.expected is not None else "which is no success"
            raise UsageError(
                f"{place}: {request.shown} was answered with {answer.status}, {wanted}",
                hint="Send it by hand with curl -i; say `expected` where another answer is right.",
            )
        known |= take(answer, request.takes, place=f"{place}: {request.shown}")
    return answer, known
