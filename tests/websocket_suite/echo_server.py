"""An app that sends each message back, with the library `websockets`. Prints its URL."""

import asyncio
import logging

from websockets.asyncio.server import serve


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main():
    logging.disable(logging.CRITICAL)
    # Its own pings would be frames that a case does not expect, at times that depend on the machine.
    async with serve(echo, "127.0.0.1", 0, max_size=None, ping_interval=None) as server:
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await asyncio.Future()


asyncio.run(main())
