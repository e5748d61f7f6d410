"""A websocket of Python's websockets that comes back, and says what it saw last."""

import json
import sys
import time

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

last: int | None = None
while True:
    try:
        with connect(sys.argv[1] + (f"&lastSequence={last}" if last is not None else "")) as socket:
            for text in socket:
                message = json.loads(text)
                if message["type"] == "OPENED":
                    print(json.dumps({"opened": message["data"]}), flush=True)
                else:
                    last = message["data"]["sequence"]
                    print(json.dumps({"heard": last}), flush=True)
    except (OSError, WebSocketException):
        pass
    time.sleep(0.05)
