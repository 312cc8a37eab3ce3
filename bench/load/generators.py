"""The generators of load: how each is run, and how many of its answers were good."""

import json
import re
import subprocess
from pathlib import Path

from machine import Trouble
from sides import ANSWERS, BASE, HOST, LOOPBACK, STRANGER, upload_file

LUA = Path(__file__).resolve().parent / "wrk.lua"
# New connections a second: far below what most sides can do, so that they are offered the same.
CONNECTIONS_A_SECOND = 400


def generate(place, command, seconds):
    """Runs a generator on its core; what it wrote."""
    pinned = ["taskset", "-c", str(place.load_cores), *map(str, command)]
    try:
        done = subprocess.run(pinned, capture_output=True, text=True, check=False, timeout=seconds * 4 + 60)
    except subprocess.TimeoutExpired as error:
        raise Trouble(f"{command[0]} did not come to an end") from error
    if done.returncode != 0:
        raise Trouble(f"{Path(command[0]).name} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def wrk(load, side, seconds, place):
    """As many requests as go, over connections that stay or over new ones."""
    url = f"{'https' if load.tls else 'http'}://{HOST}:{side.port(load)}{load.path}"
    # Its own patience, so that a machine that is busy with other things yields slow answers and not errors.
    command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "20s", "-s", LUA]
    command += [*(["-H", "Connection: close"] if load.closes else []), url, "--", f"pause={load.pause}"]
    text = generate(place, command + ([f"upload={upload_file(place)}"] if load.uploads else []), seconds)
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


def run_h2load(load, side, seconds, place, options):
    """h2load, and what it counted."""
    target = ["--connect-to", f"{LOOPBACK}:{side.port(load)}", f"https://{HOST}:{side.port(load)}{load.path}"]
    text = generate(place, ["h2load", *options, *target], seconds)
    counted = re.search(r"^requests: .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text, re.M)
    answers = re.search(r"^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text, re.M)
    octets = re.search(r"\((\d+)\) data$", text, re.M)
    if not (counted and answers and octets):
        raise Trouble(f"h2load gave no figures: {text}")
    done, succeeded, *bad = map(int, counted.groups())
    good, *other = map(int, answers.groups())
    # When the time is over, answers may have begun that are not whole; those are no answers.
    begun = good - succeeded
    under_way = load.connections * load.streams
    if any(bad) or any(other) or not 0 <= begun <= under_way or succeeded != done or int(octets[1]) < succeeded * ANSWERS[load.path]:
        raise Trouble(f"{side.name} gave bad answers: {counted[0]}; {answers[0]}; {octets[1]} octets")
    return succeeded


def h2load(load, side, seconds, place):
    """As many requests as go, over streams of connections that stay."""
    options = ["-t1", f"-c{load.connections}", f"-m{load.streams}", f"--duration={seconds}", "--warm-up-time=0"]
    return run_h2load(load, side, seconds, place, options)


def handshakes(load, side, seconds, place):
    """Connections at a fixed rate, each for one request; h2load remembers no sessions."""
    count = CONNECTIONS_A_SECOND * seconds
    pace = [f"-r{CONNECTIONS_A_SECOND // 100}", "--rate-period=10ms"]
    return run_h2load(load, side, seconds, place, ["-t1", "--h1", f"-n{count}", f"-c{count}", *pace])


def own(place, program, side, patience, **arguments):
    """One of our own (tools/helpers), which fails by itself at an answer that is not right; its figures."""
    told = [f"{key}={value}" for key, value in arguments.items()]
    try:
        return json.loads(generate(place, [place.tools / program, f"to={LOOPBACK}:{side.clear}", *told], patience))
    except Trouble as trouble:
        raise Trouble(f"{side.name}: {trouble}") from trouble


def talk(load, side, seconds, place, connections=None):
    """Messages of WebSocket that came back."""
    of = {"host": f"{HOST}:{side.clear}", "path": load.path, "connections": connections or load.connections, "seconds": seconds}
    return own(place, "talk", side, seconds, **of)["answers"]


def drive(load, side, seconds, place):
    """Requests of many hosts in turn, and such as must be refused: as many of them as were sent to nobody, and no other."""
    figures = driven(load, side, seconds, place, seconds=seconds)
    if load.refused and figures["refused"] != figures["sent"] // load.refused:
        raise Trouble(f"{side.name} did not refuse what it must: {figures}")
    # What is refused is work as well.
    return figures["answers"] + figures["refused"]


def driven(load, side, patience, place, **more):
    """All that the generator of our own tells."""
    where = {"host": f"tenant-{{}}.{BASE}:{side.clear}", "stranger": f"{STRANGER}:{side.clear}", "path": load.path}
    what = {"tenants": load.tenants, "refused": load.refused, "length": ANSWERS[load.path], "connections": load.connections}
    return own(place, "drive", side, patience, **where, **what, **more)
