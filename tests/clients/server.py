"""Python's http.server as an app for the cases: it answers what the target asks for, and else with what it has seen."""

import hashlib
import json
import math
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ALPHABET = b"abcdefghijklmnopqrstuvwxyz"
NEWS = defaultdict(lambda: threading.Semaphore(0))


def pattern(count):
    return (ALPHABET * math.ceil(count / 26))[:count]


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __getattr__(self, name):
        # Whatever the method.
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass

    def target(self):
        # `path` has no doubled slash at its start any more.
        return self.raw_requestline.decode("latin-1").split(" ")[1]

    def pieces(self):
        """The body as it comes; its trailers are known after it."""
        self.trailers = []
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while line := self.rfile.readline().decode("latin-1").strip():
                name, value = line.split(":", 1)
                self.trailers.append([name, value.strip()])
        elif left := int(self.headers.get("content-length", "0")):
            while left and (piece := self.rfile.read1(left)):
                left -= len(piece)
                yield piece

    def head(self, status, fields):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()

    def chunk(self, octets):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(octets), octets))

    def handle_expect_100(self):
        return self.target().startswith("/unwanted") or super().handle_expect_100()

    def answer(self):
        first, rest = (self.target().split("/", 2) + ["", ""])[1:3]
        handle = getattr(self, f"on_{first}", self.on_others) if first.isalpha() else self.on_others
        handle(rest)

    def on_others(self, _):
        body = b"".join(self.pieces())
        seen = {
            "method": self.command,
            "target": self.target(),
            "headers": [[name, value] for name, value in self.headers.items()],
            "trailers": self.trailers,
            "octets": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        text = json.dumps(seen).encode()
        self.head(200, [("content-type", "application/json"), ("content-length", str(len(text)))])
        if self.command != "HEAD":
            self.wfile.write(text)

    def on_reply(self, rest):
        list(self.pieces())
        wanted = json.loads(bytes.fromhex(rest))
        for status, hints in wanted.get("informational", []):
            self.send_response_only(status)
            for name, value in hints:
                self.send_header(name, value)
            self.end_headers()
        body = bytes.fromhex(wanted["hex"]) if "hex" in wanted else pattern(wanted.get("octets", 0))
        origin = f"{self.headers.get('x-forwarded-proto', 'http')}://{self.headers['host']}"
        framing, trailers = wanted["framing"], wanted.get("trailers", [])
        fields = [
            (name, value.replace("{origin}", origin) if isinstance(value, str) else "x" * value["times"])
            for name, value in wanted.get("headers", [])
        ]
        if framing == "length":
            fields.append(("content-length", str(len(body))))
        if framing == "chunked":
            fields.append(("transfer-encoding", "chunked"))
        if framing == "close":
            fields.append(("connection", "close"))
        if trailers:
            fields.append(("trailer", ", ".join(name for name, _ in trailers)))
        self.head(wanted["status"], fields)
        if self.command == "HEAD" or framing == "none":
            return
        send = self.chunk if framing == "chunked" else self.wfile.write
        if wanted.get("cut"):
            send(body[: len(body) // 2])
            self.close_connection = True
            return
        size = math.ceil(len(body) / wanted.get("pieces", 1)) or 1
        for at in range(0, len(body), size):
            send(body[at : at + size])
        if framing == "chunked":
            self.wfile.write(b"0\r\n" + b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in trailers) + b"\r\n")

    def on_events(self, name):
        self.head(200, [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("transfer-encoding", "chunked")])
        for count in range(1, 6):
            self.chunk(f"id: {count}\ndata: event {count}\n\n".encode())
            NEWS[name].acquire()
        self.wfile.write(b"0\r\n\r\n")

    def on_next(self, name):
        NEWS[name].release()
        self.head(204, [])

    def on_mirror(self, _):
        self.head(200, [("content-type", "application/octet-stream"), ("transfer-encoding", "chunked")])
        for piece in self.pieces():
            self.chunk(piece)
        self.wfile.write(b"0\r\n\r\n")

    def on_early(self, _):
        self.head(403, [("content-type", "text/plain"), ("content-length", "8")])
        self.wfile.write(b"too much")
        list(self.pieces())

    def on_unwanted(self, _):
        self.head(403, [("content-type", "text/plain"), ("content-length", "8")])
        self.wfile.write(b"too much")
        # Nothing was asked for, and what comes after it is the next request.


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", 0), App)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
