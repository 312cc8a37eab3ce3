"""Ends WebSockets in every way: python ends_client.py HOST PORT CA VERSION. Prints both sides' view as JSON.

`{"/name": {"client": [code, reason], "reset": how a stream of HTTP/2 was reset, "app": what the app says}}`
"""

import asyncio
import json
import sys

from wsproto.frame_protocol import CloseReason

from sockets import dial

LONGEST = "ü" * 61 + "!"
SAID = [
    (1000, ""), (1000, "done"), (1001, "going"), (1002, "Grüße, 世界"), (1003, "no such data"), (1007, "not text"),
    (1008, LONGEST), (1009, "too big"), (1010, "more"), (1011, "a fault"), (3000, "registered"), (3999, ""), (4000, "own"),
    (4999, LONGEST),
]


async def client_closes(socket, code, reason):
    await socket.close(code, reason)


async def told(socket, order):
    await socket.send(order)
    async for _ in socket:
        pass


async def client_breaks(socket):
    # It is sure that the app knows of this WebSocket before it breaks.
    await socket.send("here")
    async for _ in socket:
        break
    await socket.lane.abort()
    async for _ in socket:
        pass


async def main():
    host, port, ca, version = sys.argv[1:]
    way = await dial(host, int(port), ca, version)
    seen = {}

    async def one(path, play, *how):
        socket = await way.open(path)
        await play(socket, *how)
        seen[path] = {"client": socket.closed, "reset": socket.reset}

    plays = []
    for at, (code, reason) in enumerate(SAID):
        plays.append(one(f"/client/{at}", client_closes, code, reason))
        plays.append(one(f"/app/{at}", told, f"close {code} {reason}"))
    # Without a code: the close frame is empty.
    plays.append(one("/client/empty", client_closes, CloseReason.NO_STATUS_RCVD, None))
    plays.append(one("/client/breaks", client_breaks))
    plays.append(one("/app/ends", told, "end"))
    plays.append(one("/app/breaks", told, "break"))
    await asyncio.gather(*plays)

    ends = await way.open("/ends")
    await ends.send(str(len(plays)))
    async for message in ends:
        for path, app in json.loads(message).items():
            seen[path]["app"] = app
        break
    print(json.dumps({"said": SAID, "seen": seen}))


asyncio.run(main())
