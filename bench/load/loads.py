"""The loads: what is asked of a side, and by which generator."""

from dataclasses import dataclass, replace

import generators


@dataclass(frozen=True)
class Load:
    """One kind of work."""

    name: str
    tls: bool
    path: str
    connections: int
    # The generator.
    kind: str = "wrk"
    # HTTP/2, and its streams under way on each connection.
    http2: bool = False
    streams: int = 1
    # The client closes after each answer, and remembers its session.
    closes: bool = False
    # Milliseconds that each connection waits before a request: less than any side can do, so that all are offered the same.
    pause: int = 0
    # Hosts that are called in turn; the first only, or this many.
    tenants: int = 1
    # One of so many requests is for a host of nobody.
    refused: int = 0
    workers: int = 1

    @property
    def uploads(self):
        """Whether the request has a body."""
        return self.path == "/upload"

    def fits(self, side):
        """Whether the side can do this work at all."""
        if self.tls and "tls" in side.lacks:
            return False
        # What refuses nobody does not look at hosts.
        return "refusals" not in side.lacks or not (self.refused or self.kind == "drive")

    def run(self, side, seconds, place):
        """Loads a side; the number of good answers. Any other answer is trouble."""
        return getattr(generators, self.kind)(self, side, seconds, place)


def loads(tenants):
    """All that is measured as CPU for each answer, among so many tenants."""
    one = [
        Load("HTTP/1.1 clear, 100 B, 64 connections", False, "/100", 64),
        Load("the same, 10,000 requests a second", False, "/100", 64, pause=6),
        Load("HTTP/1.1 clear, 16 KiB, 32 connections", False, "/16k", 32),
        Load("HTTP/1.1 clear, 1 MiB, 8 connections", False, "/1m", 8),
        Load("HTTP/1.1 clear, uploads of 10 KiB, 32 connections", False, "/upload", 32),
        Load("HTTP/1.1 over TLS 1.3, 100 B, 64 connections", True, "/100", 64),
        Load("HTTP/1.1 over TLS 1.3, 16 KiB, 32 connections", True, "/16k", 32),
        Load("HTTP/1.1 over TLS 1.3, 1 MiB, 8 connections", True, "/1m", 8),
        Load("HTTP/1.1 over TLS 1.3, uploads of 10 KiB, 32 connections", True, "/upload", 32),
        Load("HTTP/2 over TLS 1.3, 100 B, 16 connections × 16 streams", True, "/100", 16, "h2load", True, 16),
        Load("HTTP/2 over TLS 1.3, 100 B, 1 connection × 100 streams", True, "/100", 1, "h2load", True, 100),
        Load("HTTP/2 over TLS 1.3, 1 MiB, 8 connections", True, "/1m", 8, "h2load", True),
        Load("a new TLS 1.3 connection with one request, full handshake", True, "/100", 1, "handshakes"),
        Load("a new TLS 1.3 connection with one request, resumed", True, "/100", 8, closes=True),
        Load("WebSocket clear, echo of 100 B, 64 connections", False, "/echo", 64, "talk"),
        Load(f"1 hot tenant of {tenants:,}, clear, 100 B, 64 connections", False, "/100", 64, "drive"),
        Load(f"{tenants:,} tenants evenly, clear, 100 B, 64 connections", False, "/100", 64, "drive", tenants=tenants),
        Load("1 % refused (404), the rest clear, 100 B, 64 connections", False, "/100", 64, "drive", refused=100),
    ]
    first = [one[0], one[5], one[9]]
    return one + [replace(load, name=f"2 workers: {load.name.replace('HTTP/1.1 clear', 'clear HTTP/1.1')}", workers=2) for load in first]
