"""An app that ends a WebSocket as its client says, with the library `websockets`, and keeps how each of them ended.

The path names the WebSocket. The client's message says what to do: `close CODE REASON`, `end` (no close frame, but an orderly end
of the connection), `break` (a reset), `ping PAYLOAD`; other messages are sent back. `/ends` tells how all the others ended:
`{"/name": [received, sent, by whom first]}`, with a code and a reason each.
"""

import asyncio
import json
import logging
import socket
import struct

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

ends = {}
ended = asyncio.Condition()


async def obey(connection, order):
    what, _, more = order.partition(" ")
    if what == "close":
        code, _, reason = more.partition(" ")
        await connection.close(int(code), reason)
    elif what == "end":
        connection.transport.write_eof() if connection.transport.can_write_eof() else connection.transport.close()
        await connection.wait_closed()
    elif what == "break":
        end = connection.transport.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.transport.abort()
        await connection.wait_closed()
    elif what == "ping":
        await (await connection.ping(more.encode()))
        await connection.send(f"pong {more}")
    else:
        await connection.send(order)


async def serve_one(connection):
    path = connection.request.path
    if path == "/ends":
        async for wanted in connection:
            async with ended:
                await ended.wait_for(lambda: len(ends) >= int(wanted))
            await connection.send(json.dumps(ends))
        return
    try:
        async for message in connection:
            await obey(connection, message) if isinstance(message, str) else await connection.send(message)
    except ConnectionClosed:
        pass
    await connection.wait_closed()
    state = connection.protocol
    said = [frame and [frame.code, frame.reason] for frame in (state.close_rcvd, state.close_sent)]
    first = {True: "client", False: "app", None: None}[state.close_rcvd_then_sent]
    async with ended:
        ends[path] = [*said, first]
        ended.notify_all()


async def main():
    logging.disable(logging.CRITICAL)
    async with serve(serve_one, "127.0.0.1", 0, max_size=None, ping_interval=None) as server:
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await asyncio.Future()


asyncio.run(main())
