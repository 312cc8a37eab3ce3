"""Python's HTTP clients on the cases: `python client.py <job.json>` prints one verdict a line.

The standard library's http.client, requests (urllib3), httpx over HTTP/1.1 and HTTP/2, and aiohttp.
"""

import asyncio
import hashlib
import http.client
import json
import math
import socket
import ssl
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import aiohttp
import httpx
import requests
import yarl

with open(sys.argv[1]) as file:
    JOB = json.load(file)
PATIENCE = 60
ALPHABET = b"abcdefghijklmnopqrstuvwxyz"
SAYING = threading.Lock()


def anywhere(_, port, family=0, kind=0, proto=0, flags=0, **__):
    """Every name leads to this machine."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(port or 0)))]


socket.getaddrinfo = anywhere


def trust():
    """A context of its own: libraries write what they offer into it."""
    return ssl.create_default_context(cafile=JOB["ca"])



def pattern(count):
    return (ALPHABET * math.ceil(count / 26))[:count]


def shown(body):
    return body.decode("latin-1") if len(body) <= 65536 else f"{len(body)} octets, {hashlib.sha256(body).hexdigest()}"


def outcome(status, headers, body, note=None):
    headers = [[text(name), text(value)] for name, value in headers]
    return {"status": status, "headers": headers, "body": shown(body), "trailers": [], "informational": [], "note": note}


def text(said):
    return said.decode("latin-1") if isinstance(said, bytes) else said


def halves(item):
    body = pattern(item["body"]["octets"])
    half = len(body) // 2
    return [piece for piece in (body[:half], body[half:]) if piece]


class Standard:
    """http.client, with the trailers that it cannot send by itself written by hand."""

    name, ways, kinds = "http.client", ["direct", "clear", "tls"], ["exchange", "many", "early", "mirror", "events"]

    def __init__(self, place):
        self.url = urlsplit(place["url"])
        self.trust = trust()

    def connect(self):
        if self.url.scheme == "https":
            return http.client.HTTPSConnection(self.url.hostname, self.url.port, timeout=PATIENCE, context=self.trust)
        return http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=PATIENCE)

    def begin(self, connection, item):
        connection.putrequest(item["method"], item["target"])
        for name, value in item["headers"]:
            connection.putheader(name, value.encode("latin-1"))
        if body := item["body"]:
            framing = ("transfer-encoding", "chunked") if body["chunked"] else ("content-length", str(body["octets"]))
            connection.putheader(*framing)
            if body["trailers"]:
                connection.putheader("trailer", ", ".join(name for name, _ in body["trailers"]))
        connection.endheaders()

    def chunk(self, connection, octets):
        connection.send(b"%x\r\n%s\r\n" % (len(octets), octets))

    def exchange(self, item):
        connection = self.connect()
        self.begin(connection, item)
        if body := item["body"]:
            for piece in halves(item):
                self.chunk(connection, piece) if body["chunked"] else connection.send(piece)
            if body["chunked"]:
                trailers = "".join(f"{name}: {value}\r\n" for name, value in body["trailers"])
                connection.send(f"0\r\n{trailers}\r\n".encode())
        response = connection.getresponse()
        try:
            return outcome(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def many(self, item):
        connection, statuses, sockets = self.connect(), set(), set()
        for count in range(200):
            target = f"{item['target']}?{count}"
            connection.request("GET", target)
            sockets.add(connection.sock.getsockname())
            response = connection.getresponse()
            statuses.add(f"{response.status} {json.loads(response.read())['target'] == target}")
        connection.close()
        return {"note": [*statuses, f"{len(sockets)} connection"]}

    def early(self, item):
        connection = self.connect()
        self.begin(connection, item)
        self.chunk(connection, pattern(1000))
        response = connection.getresponse()
        self.chunk(connection, b"")
        connection.close()
        return {"note": f"answered {response.status} while the upload ran"}

    def mirror(self, item):
        connection, pieces = self.connect(), []
        self.begin(connection, item)
        self.chunk(connection, b"piece 0")
        response = connection.getresponse()
        while len(pieces) < 6:
            pieces.append(response.read1().decode())
            if len(pieces) < 6:
                self.chunk(connection, b"piece %d" % len(pieces))
        self.chunk(connection, b"")
        connection.close()
        return {"note": pieces}

    def events(self, item):
        name, events = uuid.uuid4(), []
        connection = self.connect()
        connection.request("GET", f"/events/{name}")
        response = connection.getresponse()
        while piece := response.read1():
            events.append(piece.decode())
            other = self.connect()
            other.request("GET", f"/next/{name}")
            other.getresponse().read()
            other.close()
        connection.close()
        return {"note": events}


class Requests:
    """requests, and urllib3 below it."""

    name, ways, kinds = "requests", ["direct", "tls"], ["exchange", "follow", "jar", "many"]

    def __init__(self, place):
        self.url = place["url"]
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = JOB["ca"]

    def ask(self, item, target=None):
        body = None
        if item["body"]:
            body = iter(halves(item)) if item["body"]["chunked"] else pattern(item["body"]["octets"])
        fields = {}
        for name, value in item["headers"]:
            fields[name] = value.encode("latin-1")
        follow = item["kind"] == "follow"
        url = self.url + (target or item["target"])
        how = {"allow_redirects": follow, "timeout": PATIENCE, "stream": True}
        response = self.session.request(item["method"], url, headers=fields, data=body, **how)
        # Content codings as they came.
        octets = response.raw.read(decode_content=False)
        if response.status_code < 200:
            # It takes this for the answer; the answer would be that to its next request.
            self.session.close()
        note = [hop.status_code for hop in response.history]
        return outcome(response.status_code, list(response.raw.headers.items()), octets, note)

    def exchange(self, item):
        self.session.cookies.clear()
        return self.ask(item)

    follow = exchange

    def jar(self, item):
        self.exchange(item)
        return self.ask(item, "/with/cookies")

    def many(self, item):
        return {"note": sorted({self.ask(item)["status"] for _ in range(100)})}


class Httpx:
    """httpx over HTTP/1.1, or over HTTP/2 where the way has it."""

    name, ways, kinds = "httpx", ["direct", "tls", "h2"], ["exchange", "follow", "jar", "many", "events"]

    def __init__(self, place):
        self.url, self.two = place["url"], place["way"] == "h2"
        versions = {"http1": not self.two, "http2": self.two}
        self.client = httpx.Client(**versions, verify=trust(), trust_env=False, timeout=PATIENCE)

    def ask(self, item, target=None):
        headers = [(name.encode(), value.encode("latin-1")) for name, value in item["headers"]]
        body = None
        if item["body"]:
            body = iter(halves(item)) if item["body"]["chunked"] else pattern(item["body"]["octets"])
        url = httpx.URL(self.url).copy_with(raw_path=(target or item["target"]).encode())
        request = self.client.build_request(item["method"], url, headers=headers, content=body)
        response = self.client.send(request, stream=True, follow_redirects=item["kind"] == "follow")
        octets = b"".join(response.iter_raw())
        if response.http_version != ("HTTP/2" if self.two else "HTTP/1.1") and response.http_version != "HTTP/1.0":
            raise AssertionError(response.http_version)
        return outcome(response.status_code, response.headers.raw, octets, [hop.status_code for hop in response.history])

    def exchange(self, item):
        self.client.cookies.clear()
        return self.ask(item)

    follow = exchange

    def jar(self, item):
        self.exchange(item)
        return self.ask(item, "/with/cookies")

    def many(self, item):
        return {"note": sorted({self.ask(item)["status"] for _ in range(100)})}

    def events(self, item):
        name, events = uuid.uuid4(), []
        with self.client.stream("GET", f"{self.url}/events/{name}") as response:
            for piece in response.iter_raw():
                events.append(piece.decode())
                self.client.get(f"{self.url}/next/{name}")
        return {"note": events}


class Aiohttp:
    """aiohttp's client."""

    name, ways, kinds = "aiohttp", ["direct", "tls"], ["exchange", "follow", "jar", "many", "events"]

    def __init__(self, place):
        self.url = place["url"]
        self.loop = asyncio.new_event_loop()
        self.session = self.loop.run_until_complete(self.open())

    def __getattr__(self, kind):
        return lambda item: self.loop.run_until_complete(getattr(self, f"do_{kind}")(item))

    async def open(self):
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust(), resolver=aiohttp.ThreadedResolver()),
            timeout=aiohttp.ClientTimeout(PATIENCE),
            auto_decompress=False,
            max_line_size=131072,
            max_field_size=131072,
        )

    async def ask(self, item, target=None):
        body = None
        if item["body"]:
            body = later(halves(item)) if item["body"]["chunked"] else pattern(item["body"]["octets"])
        url = yarl.URL(self.url + (target or item["target"]), encoded=True)
        headers = [(name, value) for name, value in item["headers"]]
        follow = item["kind"] == "follow"
        async with self.session.request(item["method"], url, headers=headers, data=body, allow_redirects=follow) as response:
            octets = await response.read()
            return outcome(response.status, response.raw_headers, octets, [hop.status for hop in response.history])

    async def do_exchange(self, item):
        self.session.cookie_jar.clear()
        return await self.ask(item)

    do_follow = do_exchange

    async def do_jar(self, item):
        await self.do_exchange(item)
        return await self.ask(item, "/with/cookies")

    async def do_many(self, item):
        return {"note": sorted({(await self.ask(item))["status"] for _ in range(100)})}

    async def do_events(self, item):
        name, events = uuid.uuid4(), []
        async with self.session.get(f"{self.url}/events/{name}") as response:
            async for piece in response.content.iter_any():
                events.append(piece.decode())
                async with self.session.get(f"{self.url}/next/{name}") as told:
                    await told.read()
        return {"note": events}


async def later(pieces):
    for piece in pieces:
        yield piece


def run(kind, place):
    # One client a place, which uses its connections again.
    client = kind(place)
    for item in JOB["cases"]:
        if item["kind"] not in client.kinds or item["name"] in place["without"]:
            continue
        try:
            found = getattr(client, item["kind"])(item)
        except Exception as error:  # Whatever it is, it is the verdict.
            found = {"failed": f"{type(error).__name__}: {error}"}
        line = json.dumps({"client": client.name, "server": place["server"], "way": place["way"], "case": item["name"], "outcome": found})
        with SAYING:
            print(line, flush=True)


with ThreadPoolExecutor(16) as pool:
    runs = [
        pool.submit(run, client, place)
        for client in (Standard, Requests, Httpx, Aiohttp)
        for place in JOB["places"]
        if place["way"] in client.ways
    ]
    for each in runs:
        each.result()
