"""A client of the suite's app, with the library `websockets`: python echo_client.py URL PORT [CA]. Plays every case.

It connects to PORT of this machine, whatever the URL's name means elsewhere.
"""

import asyncio
import logging
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

AGENT = "agent=websockets"


def to(path):
    url, port, *ca = sys.argv[1:]
    tls = {"ssl": ssl.create_default_context(cafile=ca[0])} if ca else {}
    options = {"host": "127.0.0.1", "port": int(port), "proxy": None, "max_size": None, "ping_interval": None}
    return connect(url + path, **options, **tls)


async def play(case):
    async with to(f"/runCase?case={case}&{AGENT}") as socket:
        try:
            async for message in socket:
                await socket.send(message)
        except ConnectionClosed:
            # How it closes is for the suite to judge.
            pass


async def main():
    logging.disable(logging.CRITICAL)
    async with to("/getCaseCount") as socket:
        count = int(await socket.recv())
    cases = iter(range(1, count + 1))

    async def player():
        for case in cases:
            await play(case)

    await asyncio.gather(*(player() for _ in range(8)))
    async with to(f"/updateReports?{AGENT}"):
        pass


asyncio.run(main())
