"""A client of the suite's app, with the library `wsproto`: python wsproto_client.py HOST PORT [CA]. Plays every case, over one
HTTP/2 connection where it is given a CA, and over HTTP/1.1 in clear where not."""

import asyncio
import sys

from sockets import Http1, Http2

AGENT = "agent=wsproto"


async def main():
    host, port, *ca = sys.argv[1:]
    way = await Http2.connect(host, int(port), *ca) if ca else Http1(host, int(port))

    count = 0
    async for message in await way.open("/getCaseCount"):
        count = int(message)
    cases = iter(range(1, count + 1))

    async def player():
        for case in cases:
            socket = await way.open(f"/runCase?case={case}&{AGENT}")
            async for message in socket:
                await socket.send(message)

    await asyncio.gather(*(player() for _ in range(8)))
    async for _ in await way.open(f"/updateReports?{AGENT}"):
        pass
    await way.close()


asyncio.run(main())
