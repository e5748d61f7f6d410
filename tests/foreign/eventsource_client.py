"""The event stream of httpx-sse that comes back with the id that it saw last."""

import json
import sys
import time

import httpx
from httpx_sse import connect_sse

last_id = ""
while True:
    headers = {"last-event-id": last_id} if last_id else {}
    try:
        with (
            httpx.Client(timeout=60) as client,
            connect_sse(client, "GET", sys.argv[1], headers=headers) as source,
        ):
            for event in source.iter_sse():
                last_id = event.id
                data = json.loads(event.data)
                told = {"opened": data} if event.event == "opened" else {"heard": data["sequence"]}
                print(json.dumps(told), flush=True)
    except httpx.TransportError:
        time.sleep(0.05)
