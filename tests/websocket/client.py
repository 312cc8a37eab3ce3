"""A WebSocket client of the library `websockets`: python client.py URL PORT CA. Prints what it saw as JSON."""

import asyncio
import json
import os
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

url, port, ca = sys.argv[1:]
common = {"ssl": ssl.create_default_context(cafile=ca), "host": "127.0.0.1", "port": int(port), "proxy": None}
common |= {"max_size": None, "subprotocols": ["chat.v1", "chat.v2"]}


async def messages(compression):
    async with connect(url + "/chat?room=1", compression=compression, **common) as socket:
        sent = ["", "short", "Grüße, 世界", "a" * 65_536, os.urandom(125), os.urandom(3_000_000), "b" * 8_000_000, [b"in ", b"parts"]]
        echoed = []
        for message in sent:
            await socket.send(message)
            whole = b"".join(message) if isinstance(message, list) else message
            echoed.append(await socket.recv() == whole)
        pong = await socket.ping(b"are you there")
        await pong
        seen = {"echoed": echoed, "protocol": socket.subprotocol, "extensions": [each.name for each in socket.protocol.extensions]}
        await socket.send("close 4001")
        try:
            await socket.recv()
        except ConnectionClosed as closed:
            seen["closed"] = [closed.rcvd.code, closed.rcvd.reason]
        return seen


async def client_closes():
    async with connect(url, **common) as socket:
        await socket.close(4002, "enough")
        return [socket.close_code, socket.close_reason]


async def refused():
    try:
        async with connect(url + "/private", **common):
            return None
    except InvalidStatus as answer:
        return [answer.response.status_code, answer.response.body.decode()]


async def main():
    print(json.dumps({
        "deflated": await messages("deflate"),
        "plain": await messages(None),
        "clientCloses": await client_closes(),
        "refused": await refused(),
    }))


asyncio.run(main())
