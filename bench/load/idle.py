"""Memory of connections over TLS that wait: each has had one answer, and is still there at the end."""

import socket
import ssl
import time

import gatehouse
import proxies
import sides
from machine import Trouble
from sides import HOST, LOOPBACK

NAME = "memory of an idle TLS connection"
MANY, FEW = 10_000, 2_000
# Files that this process and the proxies need beside connections.
SPARE = 2_000
# Before it is read, memory settles; allocators keep for ten seconds what was freed.
SETTLING, SHORTLY = 12, 3
# From each address of the loopback network so many connections come.
OF_AN_ADDRESS = 5_000
# One in so many is asked again at the end.
SAMPLE = 50
WARMING = 200


def measure(make_place, chosen, limit, say):
    """By side: bytes for each connection. Every side starts anew and is alone, so that no memory of other work serves it."""
    many = min(FEW if chosen.quick else MANY, limit - SPARE)
    found = {}
    for name in [chosen.peers[0], "gatehouse", *(name for name in chosen.peers[1:] if name != "splice")]:
        place = make_place()
        sides.start_app(place)
        side = gatehouse.start(place) if name == "gatehouse" else proxies.PEERS[name](place)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        found[side.name] = of_side(side, context, many, SHORTLY if chosen.quick else SETTLING)
        say(f"{side.name}: {found[side.name] / 1024:.1f} KiB for each of {many:,} idle TLS connections")
        place.stop()
    return {"connections": many, "bytes": found}


def of_side(side, context, many, settling):
    """Bytes for each of so many."""
    for connection in [connected(side, context, at) for at in range(WARMING)]:
        connection.close()
    time.sleep(settling)
    before = side.memory()
    connections = []
    try:
        for at in range(many):
            connections.append(connected(side, context, at))
        time.sleep(settling)
        after = side.memory()
        for connection in connections[::SAMPLE]:
            ask(side, connection)
    except OSError as error:
        raise Trouble(f"{side.name} does not keep {many} connections: {error}, with {len(connections)} there") from error
    finally:
        for connection in connections:
            connection.close()
    return (after - before) / many


def connected(side, context, at):
    """A connection that has had its first answer."""
    source = (f"127.0.0.{2 + at // OF_AN_ADDRESS}", 0)
    tcp = socket.create_connection((LOOPBACK, side.tls), 20, source)
    # Or the request waits until the end of the handshake is acknowledged, 40 ms later.
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls = context.wrap_socket(tcp, server_hostname=HOST)
    ask(side, tls)
    return tls


def ask(side, connection):
    """One request; its answer must be right."""
    connection.sendall(f"GET /100 HTTP/1.1\r\nHost: {HOST}:{side.tls}\r\n\r\n".encode())
    came = b""
    while not came.endswith(sides.body(100)):
        more = connection.recv(4096)
        if not more:
            raise ConnectionError("it was closed")
        came += more


def table(found):
    """KiB for each, and the ratio to NGINX."""
    sizes = found["bytes"]
    yardstick = next(iter(sizes.values()))
    yield f"| {found['connections']:,} idle TLS connections | {' | '.join(sizes)} |"
    yield "| --- |" + " --- |" * len(sizes)
    yield f"| memory of each, KiB | {' | '.join(f'{size / 1024:.1f}' for size in sizes.values())} |"
    yield f"| ratio to NGINX | {' | '.join(f'{size / yardstick:.2f}' for size in sizes.values())} |"
