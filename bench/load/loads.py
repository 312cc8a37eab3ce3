"""The loads: what is asked of a side, by which generator, and how many of its answers were good."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from machine import LOAD_CORE, Trouble
from sides import BODIES, HOST, LOOPBACK

LUA = Path(__file__).resolve().parent / "wrk.lua"
# New connections a second: far below what either side can do, so that both are offered the same.
CONNECTIONS_A_SECOND = 400


@dataclass(frozen=True)
class Load:
    """One kind of work."""

    name: str
    tls: bool
    path: str
    connections: int
    kind: str = "wrk"
    http2: bool = False
    # The client closes after each answer, and remembers its session.
    closes: bool = False
    # Milliseconds that each connection waits before a request: less than either side can do, so that both are offered the same.
    pause: int = 0

    def run(self, side, seconds):
        """Loads a side; the number of good answers. Any other answer is trouble."""
        return {"wrk": wrk, "streams": streams, "handshakes": handshakes}[self.kind](self, side, seconds)


LOADS = [
    Load("HTTP/1.1 clear, 100 B, 64 connections", False, "/100", 64),
    Load("the same, 10,000 requests a second", False, "/100", 64, pause=6),
    Load("HTTP/1.1 over TLS 1.3, 100 B, 64 connections", True, "/100", 64),
    Load("HTTP/2 over TLS 1.3, 100 B, 16 connections × 16 streams", True, "/100", 16, "streams", True),
    Load("HTTP/1.1 over TLS 1.3, 16 KiB, 32 connections", True, "/16k", 32),
    Load("HTTP/1.1 over TLS 1.3, 1 MiB, 8 connections", True, "/1m", 8),
    Load("a new TLS 1.3 connection with one request, full handshake", True, "/100", 1, "handshakes"),
    Load("a new TLS 1.3 connection with one request, resumed", True, "/100", 8, closes=True),
]


def generate(command, seconds):
    """Runs a generator on its core; what it wrote."""
    pinned = ["taskset", "-c", str(LOAD_CORE), *map(str, command)]
    try:
        done = subprocess.run(pinned, capture_output=True, text=True, check=False, timeout=seconds * 4 + 30)
    except subprocess.TimeoutExpired as error:
        raise Trouble(f"{command[0]} did not come to an end") from error
    if done.returncode != 0:
        raise Trouble(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def wrk(load, side, seconds):
    """As many requests as go, over connections that stay or over new ones."""
    url = f"{'https' if load.tls else 'http'}://{HOST}:{side.port(load)}{load.path}"
    # Its own patience, so that a machine that is busy with other things yields slow answers and not errors.
    command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "20s", "-s", LUA]
    text = generate([*command, *(["-H", "Connection: close"] if load.closes else []), url, *(["--", load.pause] if load.pause else [])], seconds)
    found = re.search(r"^FIGURES (.*)$", text, re.M)
    if not found:
        raise Trouble(f"wrk gave no figures: {text}")
    figures = json.loads(found[1])
    bad = {kind: figures[kind] for kind in ("connect", "read", "write", "status", "timeout") if figures[kind]}
    # wrk counts redirects as good, and does not compare; the octets that it read tell.
    shortest = 0.95 * side.sizes[load.path]
    if bad or figures["bytes"] < figures["requests"] * shortest:
        raise Trouble(f"{side.name} gave bad answers: {figures}")
    return figures["requests"]


def h2load(load, side, seconds, options):
    """h2load, and what it counted."""
    target = ["--connect-to", f"{LOOPBACK}:{side.port(load)}", f"https://{HOST}:{side.port(load)}{load.path}"]
    text = generate(["h2load", *options, *target], seconds)
    counted = re.search(r"^requests: .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text, re.M)
    answers = re.search(r"^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text, re.M)
    octets = re.search(r"\((\d+)\) data$", text, re.M)
    if not (counted and answers and octets):
        raise Trouble(f"h2load gave no figures: {text}")
    done, succeeded, *bad = map(int, counted.groups())
    good, *other = map(int, answers.groups())
    if any(bad) or any(other) or good != succeeded or succeeded != done or int(octets[1]) < succeeded * BODIES[load.path]:
        raise Trouble(f"{side.name} gave bad answers: {counted[0]}; {answers[0]}; {octets[1]} octets")
    return succeeded


def streams(load, side, seconds):
    """As many requests as go, over streams of connections that stay."""
    return h2load(load, side, seconds, ["-t1", f"-c{load.connections}", "-m16", f"--duration={seconds}", "--warm-up-time=0"])


def handshakes(load, side, seconds):
    """Connections at a fixed rate, each for one request; h2load remembers no sessions."""
    count = CONNECTIONS_A_SECOND * seconds
    pace = [f"-r{CONNECTIONS_A_SECOND // 100}", "--rate-period=10ms"]
    return h2load(load, side, seconds, ["-t1", "--h1", f"-n{count}", f"-c{count}", *pace])
