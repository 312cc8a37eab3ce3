"""Many WebSockets that are open at the same time: python crowd_client.py HOST PORT CA VERSION COUNT. Prints how many messages
came back as they were sent."""

import asyncio
import os
import random
import sys

from sockets import dial

ROUNDS = 20


async def main():
    host, port, ca, version, count = sys.argv[1:]
    way = await dial(host, int(port), ca, version)
    sockets = await asyncio.gather(*(way.open(f"/{number}") for number in range(int(count))))

    async def talk(number, socket):
        # Half of each message is noise, which does not deflate.
        choose, messages, returned = random.Random(number), aiter(socket), 0
        for _ in range(ROUNDS):
            length = choose.randrange(4_000)
            message = os.urandom(length) + bytes(length)
            await socket.send(message)
            returned += await anext(messages) == message
        return returned

    # None closes before all have talked.
    returned = sum(await asyncio.gather(*(talk(*each) for each in enumerate(sockets))))
    await asyncio.gather(*(socket.close(1000, "enough") for socket in sockets))
    print(returned)


asyncio.run(main())
