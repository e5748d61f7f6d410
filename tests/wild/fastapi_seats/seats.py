"""Seats, booked by two endpoints of a FastAPI application over one pool of asyncpg's: one that books a seat twice.

Both get their connection from a dependency that yields, and answer by models, as FastAPI's documentation has it.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import asyncpg
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel


class Booking(BaseModel):
    seat: str
    guests: int


@asynccontextmanager
async def pool(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=3, max_size=3) as app.state.pool:
        yield


async def in_transaction(request: Request) -> AsyncIterator[Any]:
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        yield connection


SEATS = FastAPI(lifespan=pool)
Connection = Annotated[Any, Depends(in_transaction)]


@SEATS.post("/seats/{seat}/book", status_code=201)
async def book(seat: str, connection: Connection) -> Booking:
    if await connection.fetchval("select count(*) from bookings where seat = $1", seat):
        raise HTTPException(409, "taken")
    await connection.execute("insert into bookings (seat) values ($1)", seat)
    return Booking(seat=seat, guests=1)


@SEATS.post("/seats/{seat}/book-once", status_code=201)
async def book_once(seat: str, connection: Connection) -> Booking:
    statement = "insert into bookings_once (seat) values ($1) on conflict (seat) do nothing returning id"
    if await connection.fetchval(statement, seat) is None:
        raise HTTPException(409, "taken")
    return Booking(seat=seat, guests=1)


if __name__ == "__main__":
    uvicorn.run(SEATS, port=int(os.environ["PORT"]), log_level="warning")
