"""Seats, booked by two endpoints of a Starlette application over one pool of asyncpg's: one that books a seat twice.

The statement is one, and it looks before it writes; what it looks at is what was committed when it began.
"""

import os
from contextlib import asynccontextmanager

import asyncpg
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

LOOKED = "insert into bookings (seat) select $1 where not exists (select from bookings where seat = $1) returning id"
HELD = "insert into bookings_once (seat) values ($1) on conflict (seat) do nothing returning id"


def booking(statement):
    async def book(request):
        booked = await request.app.state.pool.fetchval(statement, request.path_params["seat"])
        return JSONResponse({"booked": bool(booked)}, status_code=201 if booked else 409)

    return book


@asynccontextmanager
async def pool(app):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=3, max_size=3) as app.state.pool:
        yield


SEATS = Starlette(
    routes=[
        Route("/seats/{seat}/book", booking(LOOKED), methods=["POST"]),
        Route("/seats/{seat}/book-once", booking(HELD), methods=["POST"]),
    ],
    lifespan=pool,
)

if __name__ == "__main__":
    uvicorn.run(SEATS, port=int(os.environ["PORT"]), log_level="warning")
