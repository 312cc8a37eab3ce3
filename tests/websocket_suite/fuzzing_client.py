"""The suite as a client: python fuzzing_client.py URL CASE…. Prints what it found of each case as JSON."""

import asyncio
import socket
import sys
from urllib.parse import urlsplit

from kosoku import run_fuzzingclient

import suite


async def main():
    url, *cases = sys.argv[1:]
    suite.prepare()
    # The library that knows the names reads them at the first look-up, which must not be several at once.
    socket.getaddrinfo(urlsplit(url).hostname, None)
    suite.tell(await suite.verdicts(run_fuzzingclient(url, cases, concurrency=8)))


asyncio.run(main())
