"""That every side does the work before it is measured: the right octets, the tenant told to the app, no answer for a host of
nobody, and TLS that is alike."""

import socket
import ssl
import subprocess

import generators
from machine import Trouble
from sides import ANSWERS, BASE, HOST, LOOPBACK, SLUG, STRANGER, body, upload_file


def check(place, sides, loads):
    """All sides at all loads; version and cipher of TLS, where there is any."""
    for side in sides:
        versions = set()
        for load in loads:
            if not load.fits(side):
                continue
            if load.kind == "talk":
                generators.talk(load, side, 1, place, connections=1)
                continue
            check_answer(place, side, load)
            if (load.tls, load.http2) not in versions:
                versions.add((load.tls, load.http2))
                check_manners(side, load)
    return check_handshakes([side for side in sides if "tls" not in side.lacks])


def curl(side, load, path, *more, host=HOST):
    """Status, head and body of one answer."""
    scheme, port = ("https", side.tls) if load.tls else ("http", side.clear)
    command = ["curl", "--silent", "--show-error", "--insecure", "--include", "--max-time", "20", *map(str, more)]
    command += ["--http2" if load.http2 else "--http1.1", "--resolve", f"{host}:{port}:{LOOPBACK}", f"{scheme}://{host}:{port}{path}"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise Trouble(f"{side.name} does not answer: {done.stderr.decode().strip()}")
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), content


def check_answer(place, side, load):
    """The right octets, over the right version. The app compares what is uploaded."""
    more = ["--data-binary", f"@{upload_file(place)}", "--header", "Expect:"] if load.uploads else []
    status, head, content = curl(side, load, load.path, *more)
    if status != 200 or content != body(ANSWERS[load.path]):
        raise Trouble(f"{side.name} answers {load.path} wrong: {status}, {len(content)} octets")
    if load.http2 != head.startswith("HTTP/2"):
        raise Trouble(f"{side.name} does not speak the version asked for: {head.splitlines()[0]}")
    if not load.http2:
        side.sizes[load.path] = len(head) + 4 + len(content)


def check_manners(side, load):
    """What the app and the client are told, and what a host of nobody is."""
    status, head, told = curl(side, load, "/told")
    told = told.decode().strip().split("|")
    if status != 200 or told[0] != f"{HOST}:{side.port(load)}":
        raise Trouble(f"{side.name} does not pass the host on: {status}, {told}")
    if "tenants" not in side.lacks and (told[1] != SLUG or not all(told)):
        raise Trouble(f"{side.name} does not tell the app what it should: {told}")
    if "request id" not in side.lacks and "x-request-id: " not in head.lower():
        raise Trouble(f"{side.name} gives the client no request id")
    strangers = {"tenants": f"nobody.{BASE}"}
    if not load.tls:
        # Over TLS, a name of no certificate may be refused before there is a request.
        strangers["refusals"] = STRANGER
    for stranger in (host for what, host in strangers.items() if what not in side.lacks):
        status = curl(side, load, "/100", host=stranger)[0]
        if status != 404:
            raise Trouble(f"{side.name} answers {stranger} with {status}")


def check_handshakes(sides):
    """All must shake hands alike, or the figures compare ciphers; and all must resume."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    agreed = {}
    for side in sides:
        agreed[side.name], session, _ = handshake(context, side, None)
        if not handshake(context, side, session)[2]:
            raise Trouble(f"{side.name} resumes no session")
    if len(set(agreed.values())) != 1:
        raise Trouble(f"the sides agree on different ciphers: {agreed}")
    return next(iter(agreed.values()))


def handshake(context, side, session):
    """Cipher and session of a connection with one request (tickets come with its answer), and whether it was resumed."""
    with socket.create_connection((LOOPBACK, side.tls), 10) as tcp, context.wrap_socket(tcp, server_hostname=HOST, session=session) as tls:
        tls.sendall(f"GET /100 HTTP/1.1\r\nHost: {HOST}:{side.tls}\r\nConnection: close\r\n\r\n".encode())
        while tls.recv(4096):
            pass
        return tls.cipher(), tls.session, tls.session_reused
