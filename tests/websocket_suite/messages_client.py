"""Large messages and pings: python messages_client.py HOST PORT CA VERSION MIB. Prints as JSON whether each came as it was
sent."""

import asyncio
import hashlib
import json
import os
import sys

from sockets import dial


async def main():
    host, port, ca, version, mib = sys.argv[1:]
    way = await dial(host, int(port), ca, version)
    socket = await way.open("/messages", compressed=False)
    messages = aiter(socket)
    # Not what deflates, and not the same twice.
    whole = hashlib.shake_128(b"seed").digest(int(mib) << 20)
    seen = {}

    await socket.send(whole)
    seen["inOneFrame"] = await anext(messages) == whole

    parts = [whole[at:at + (1 << 16)] for at in range(0, len(whole), 1 << 16)]
    sending = asyncio.create_task(socket.send_parts(parts, ping_every=256))
    seen["inParts"] = await anext(messages) == whole
    await sending
    seen["pongsWithin"] = [int(pong) for pong in socket.pongs] == list(range(0, len(parts), 256))

    await socket.send("ping " + "p" * 125)
    seen["pingedByTheApp"] = await anext(messages) == "pong " + "p" * 125
    socket.pongs.clear()
    payloads = [b"", b"\x00\xff", os.urandom(125)]
    for payload in payloads:
        await socket.ping(payload)
    await socket.send("after")
    seen["after"] = await anext(messages) == "after"
    seen["pongs"] = socket.pongs == payloads
    await socket.close(1000)
    print(json.dumps(seen))


asyncio.run(main())
