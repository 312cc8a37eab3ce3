"""A WebSocket server of the library `websockets`: echoes messages, closes as it is asked to. Prints its port."""

import asyncio

from websockets.asyncio.server import serve


async def echo(connection):
    async for message in connection:
        if isinstance(message, str) and message.startswith("close "):
            await connection.close(int(message.split()[1]), "as you like")
            return
        await connection.send(message)


def refuse(connection, request):
    if request.path == "/private":
        return connection.respond(403, "not here\n")
    return None


async def main():
    options = {"subprotocols": ["chat.v2"], "max_size": None, "process_request": refuse}
    async with serve(echo, "127.0.0.1", 0, **options) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
