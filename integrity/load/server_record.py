"""What a server does by itself, taken into the history of the run that asks it: its webhooks, its jobs, and what its calls
asked of outside services. Without it an audit would find rows that nobody asked for.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

from integrity.clients.http import Server
from integrity.endpoints.record import ABANDONED, CAUSED, PATH, RecordPage, decode_page, query_of
from integrity.history import Outcome, Returned
from integrity.http.answer import Unanswered
from integrity.load.caller import Caller, CallLog

EVERY_S = 1.0
SOON_S = 0.05
"""How often it is asked while a run goes on, and at its end, until nothing is owed."""
_BEHIND_ALL = 2**62
_LATELY = 1000  # lines, in which the calls are that are under way


class ServerRecord:
    """Takes up what a server did since the run began.

    Attributes:
        owed: webhooks and jobs that the server still had to make when it was last asked, of the run's own calls.
        owed_to_others: those of calls before the run, which it does not wait for.
        is_away: it did not answer at all when it was last asked.
    """

    def __init__(self, server: Server, caller: Caller, history: CallLog) -> None:
        self.owed = self.owed_to_others = 0
        self._since_us = 0
        self._connection = server.connect()
        self._headers = server.record_headers
        self._caller = caller
        self._history = history
        self._session = ""
        self._turn = asyncio.Lock()
        self._lost = ""
        self._failure = ""
        self._began_us = self._answered_us = caller.clock.now_us()
        self.is_away = False
        self._calls = self._requests = 0
        self._under_way: dict[str, Mapping[str, Any]] = {}

    @property
    def unheard(self) -> str:
        """Why not all of it is known; empty: it is."""
        return self._lost or self._failure

    async def begin(self) -> None:
        """Find out what was done before, which is none of the run's."""
        self._began_us = self._caller.clock.now_us()
        page = await self._ask(_BEHIND_ALL, _BEHIND_ALL)
        if page is None:
            return
        self._session, self._since_us, self.owed_to_others = page.session, page.at_us, page.owed
        self._calls, self._requests = page.calls.end, page.requests.end
        if page.owed and (page := await self._ask(max(0, self._calls - _LATELY), _BEHIND_ALL)) is not None:
            returned = {line["operation_id"] for line in page.calls.lines if line["event"] == "returned"}
            under_way = [line for line in page.calls.lines if line["operation_id"] not in returned]
            for line in under_way:
                self._take_call(line)
            self._calls = page.calls.end

    async def follow(self) -> None:
        """Take up what comes, now and then, until this is cancelled."""
        while self._session:
            await asyncio.sleep(EVERY_S)
            await self.take()

    async def drain(self) -> None:
        """Take up what is owed; return when nothing is, or nobody can know."""
        while await self.take() and self.owed:  # noqa: ASYNC110  (it is asked over the wire)
            await asyncio.sleep(SOON_S)

    async def take(self) -> bool:
        """Take up what was done since last time; return whether that is known."""
        async with self._turn:  # it has one connection
            return await self._take_all()

    async def _take_all(self) -> bool:
        while self._session:
            page = await self._ask(self._calls, self._requests)
            if page is None:
                return False
            if page.session != self._session:
                self._lose("it was started anew meanwhile")
                self._session, self._since_us, self._calls, self._requests = page.session, 0, 0, 0
                continue
            if page.calls.first > self._calls or page.requests.first > self._requests:
                self._lose("it did more than it keeps")
            self._take(page)
            self.owed, self.owed_to_others = page.owed_since, page.owed - page.owed_since
            if not page.calls.lines and not page.requests.lines:
                return True
        return False

    def abort(self) -> None:
        self._connection.abort()

    def _take(self, page: RecordPage) -> None:
        for line in page.requests.lines:
            self._history.append_request(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        for line in page.calls.lines:
            self._take_call(line)
        if page.calls.lines:
            self._history.flush()
        self._calls, self._requests = page.calls.end, page.requests.end

    def _take_call(self, line: Mapping[str, Any]) -> None:
        """Write down a call, or the return of one; of a return whose call was before the run, nothing.

        What follows from calls before the run is in its history, for the rows that it makes, and in no figure of it.
        """
        operation_id = str(UUID(line["operation_id"]))
        if line["event"] == "invoked":
            self._under_way[operation_id] = line
            line = {**line, "client": self._caller.take_number()}  # nobody of ours, and in no order with others
        else:
            invoked = self._under_way.pop(operation_id, None)
            if invoked is None:
                return
            outcome, died = Outcome(line["outcome"]), bool(line.get(ABANDONED))
            returned = Returned(outcome, line["reply"], str(line["error"]), int(line["attempts"]), was_abandoned=died)
            latency_ms = (int(line["returned_at_us"]) - int(invoked["intended_at_us"])) / 1000
            if int(invoked[CAUSED]) >= self._since_us:
                self._caller.measures.add(str(invoked["operation"]), returned, latency_ms)
        line = {name: value for name, value in line.items() if name not in (CAUSED, ABANDONED)}
        self._history.append_soon(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    async def _ask(self, calls: int, requests: int) -> RecordPage | None:
        try:
            answer = await self._connection.ask(
                "GET", f"{PATH}?{query_of(calls, requests, self._since_us)}", self._headers, None
            )
            self._answered_us, self.is_away = self._caller.clock.now_us(), False
            if answer.status == 200:
                page = decode_page(answer.body)
                self._failure = ""
                return page
            reason = f"HTTP {answer.status}"
        except Unanswered as error:
            self.is_away = True
            seconds = (self._answered_us - self._began_us) / 1_000_000
            self._failure = f"it has not answered since second {seconds:.1f} of the run: {error}"
            return None
        except ValueError as error:
            reason = str(error)
        self._failure = f"it does not tell at {PATH}: {reason}"
        return None

    def _lose(self, reason: str) -> None:
        self._lost = self._lost or reason
