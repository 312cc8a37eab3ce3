"""aiohttp's server as an app for the cases: it answers what the target asks for, and else with what it has seen."""

import asyncio
import hashlib
import json
import math
from collections import defaultdict

from aiohttp import web

ALPHABET = b"abcdefghijklmnopqrstuvwxyz"
LARGE = 128 * 1024
NEWS = defaultdict(lambda: asyncio.Semaphore(0))


def pattern(count):
    return (ALPHABET * math.ceil(count / 26))[:count]


async def streamed(request, status, fields):
    response = web.StreamResponse(status=status)
    for name, value in fields:
        response.headers.add(name, value)
    await response.prepare(request)
    return response


async def echo(request):
    body = await request.read()
    seen = {
        "method": request.method,
        "target": request.raw_path,
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers],
        "trailers": [],
        "octets": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    return web.Response(body=json.dumps(seen).encode(), content_type="application/json")


async def reply(request, rest):
    await request.read()
    wanted = json.loads(bytes.fromhex(rest))
    for status, hints in wanted.get("informational", []):
        lines = "".join(f"{name}: {value}\r\n" for name, value in hints)
        request.transport.write(f"HTTP/1.1 {status} Interim\r\n{lines}\r\n".encode("latin-1"))
    body = bytes.fromhex(wanted["hex"]) if "hex" in wanted else pattern(wanted.get("octets", 0))
    origin = f"{request.headers.get('x-forwarded-proto', 'http')}://{request.headers['host']}"
    framing = wanted["framing"]
    fields = [
        (name, value.replace("{origin}", origin) if isinstance(value, str) else "x" * value["times"])
        for name, value in wanted.get("headers", [])
    ]
    if framing == "length":
        fields.append(("content-length", str(len(body))))
    response = web.StreamResponse(status=wanted["status"])
    for name, value in fields:
        response.headers.add(name, value)
    if framing == "chunked" and request.method != "HEAD":
        response.enable_chunked_encoding()
    if framing == "close":
        response.force_close()
    await response.prepare(request)
    if request.method == "HEAD" or framing == "none":
        return response
    if wanted.get("cut"):
        await response.write(body[: len(body) // 2])
        request.transport.close()
        return response
    size = math.ceil(len(body) / wanted.get("pieces", 1)) or 1
    for at in range(0, len(body), size):
        await response.write(body[at : at + size])
    await response.write_eof()
    return response


async def events(request, name):
    response = await streamed(request, 200, [("content-type", "text/event-stream"), ("cache-control", "no-store")])
    for count in range(1, 6):
        await response.write(f"id: {count}\ndata: event {count}\n\n".encode())
        await NEWS[name].acquire()
    return response


async def upcoming(request, name):
    NEWS[name].release()
    return web.Response(status=204)


async def mirror(request, _):
    response = await streamed(request, 200, [("content-type", "application/octet-stream")])
    async for piece in request.content.iter_any():
        await response.write(piece)
    return response


async def early(request, _):
    response = await streamed(request, 403, [("content-type", "text/plain"), ("content-length", "8")])
    await response.write(b"too much")
    await response.write_eof()
    if not request.headers.get("expect"):
        await request.read()
    return response


ROUTES = {"reply": reply, "events": events, "next": upcoming, "mirror": mirror, "early": early, "unwanted": early}


async def handle(request):
    first, rest = (request.raw_path.split("/", 2) + ["", ""])[1:3]
    if request.headers.get("expect", "").lower() == "100-continue" and first != "unwanted":
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return await (ROUTES[first](request, rest) if first in ROUTES else echo(request))


async def main():
    server = web.Server(handle, max_line_size=LARGE, max_headers=LARGE, max_field_size=LARGE)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
