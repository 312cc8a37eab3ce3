"""The suite as an app: python fuzzing_server.py CASE…. Prints its URL, and what it found of each case as JSON when a client
has asked it for that."""

import asyncio
import sys

from kosoku import run_fuzzingserver

import suite


async def main():
    suite.prepare()
    async with run_fuzzingserver(sys.argv[1:], host="127.0.0.1", port=0) as server:
        print(f"http://{server.address}:{server.port}", flush=True)
        suite.tell(await suite.verdicts(server.get_result()))


asyncio.run(main())
