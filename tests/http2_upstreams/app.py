"""An ASGI app under Hypercorn, which speaks HTTP/2 in clear with prior knowledge, and WebSockets over it."""

import asyncio
import json
import socket

from hypercorn.asyncio import serve
from hypercorn.config import Config


async def app(scope, receive, send):
    if scope["type"] == "http":
        octets = 0
        more = True
        while more:
            event = await receive()
            octets += len(event.get("body", b""))
            more = event.get("more_body", False)
        seen = {
            "version": scope["http_version"],
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode(),
            "octets": octets,
        }
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(seen).encode()})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"]})


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(128)
print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
config = Config()
config.bind = [f"fd://{listener.fileno()}"]
asyncio.run(serve(app, config))
