"""Calls that end before their end, and sides that read slowly."""

import json
import subprocess
import sys
import threading
import time

from calls import DEFAULT, Talk, alone, call_id, case, ending, one, rest

# ── Ends before the end ──────────────────────────────────────────────────────────────────────────────────────────────────


@case
def deadlines_reach_the_app(peer):
    verdicts = []
    for timeout in (4, 70, 100, 5000, 400_000):
        left = one(peer.call("seen"), b"", json.loads, timeout=timeout)["answer"]["left"]
        assert timeout * 0.99 - 3 < left <= timeout * 1.01 + 0.1, (timeout, left)
        verdicts.append(timeout)
    return verdicts


def held(peer, more):
    """A call of each kind that the app does not end, once the app has it."""
    calls = {}
    for kind in ("call", "source", "sink", "both"):
        name, sent = call_id()
        talk = Talk(b"one")
        options = {"metadata": sent, **more}
        if kind == "call":
            call = peer.call("hold").future(b"x", **options)
        elif kind == "source":
            call = peer.source("hold_after_some")(b"x", **options)
            next(call), next(call)
        elif kind == "sink":
            call = peer.sink("hold_taking").future(talk, **options)
        else:
            call = peer.both("hold_chat")(talk, **options)
            next(call)
        assert peer.call("begun")(name.encode(), **DEFAULT) == b"yes"
        calls[kind] = (name, call, talk)
    return calls


@case
def deadlines_that_pass(peer):
    verdicts = {}
    for kind, (name, call, talk) in held(peer, {"timeout": 2}).items():
        verdict = rest(call) if kind in ("source", "both") else ending(call)
        verdicts[kind] = verdict | peer.fate(name)
        talk.end()
        assert (verdict["status"], verdicts[kind]["app"], verdicts[kind]["soon"]) == ("DEADLINE_EXCEEDED", "cancelled", True), verdicts
    return verdicts


@case
def calls_that_the_client_cancels(peer):
    verdicts = {}
    for kind, (name, call, talk) in held(peer, {"timeout": 15}).items():
        call.cancel()
        verdicts[kind] = ending(call) | peer.fate(name)
        talk.end()
        assert (verdicts[kind]["status"], verdicts[kind]["app"], verdicts[kind]["soon"]) == ("CANCELLED", "cancelled", True), verdicts
    return verdicts


@case
def a_client_that_is_killed(peer):
    name, _ = call_id()
    client = subprocess.Popen([sys.executable, *sys.argv, "--hold", name], stdout=subprocess.PIPE)
    assert client.stdout.readline() == b"held\n"
    client.kill()
    client.wait()
    verdict = peer.fate(name)
    assert verdict == {"app": "cancelled", "soon": True}, verdict
    return verdict


def hold_until_killed(peer, name):
    answers = peer.both("hold_chat")(Talk(b"one"), metadata=[("call-id", name)])
    next(answers)
    print("held", flush=True)
    threading.Event().wait(30)


# ── Whoever reads slowly ─────────────────────────────────────────────────────────────────────────────────────────────────


def at_rest(count):
    """A number once it does not grow any more."""
    before = -1
    while (now := count()) != before:
        before = now
        time.sleep(0.4)
    return now


@case
def a_client_that_reads_slowly_slows_the_app(peer):
    name, sent = call_id()
    answers = peer.source("many")(json.dumps({"count": 4000, "size": 64 << 10}).encode(), metadata=sent, **DEFAULT)
    next(answers)
    ahead = at_rest(lambda: int(peer.call("sent")(name.encode(), **DEFAULT)))
    answers.cancel()
    assert ahead < 2000, ahead
    return True


@case
def an_app_that_reads_slowly_slows_the_client(peer):
    taken = [0]

    def requests():
        for number in range(4000):
            taken[0] = number
            yield bytes(64 << 10)

    call = peer.sink("unread").future(requests(), **DEFAULT)
    ahead = at_rest(lambda: taken[0])
    call.cancel()
    assert ahead < 2000, ahead
    return True


@alone
def an_app_that_dies(peer):
    talk = Talk(b"alive")
    answers = peer.both("die")(talk, **DEFAULT)
    assert next(answers) == b"alive"
    talk.say(b"die")
    verdict = rest(answers)
    talk.end()
    after = one(peer.call("echo"), b"anybody?")
    # Which of the socket's errors is told depends on the moment.
    return {"within": verdict["status"], "after": after["status"]}
