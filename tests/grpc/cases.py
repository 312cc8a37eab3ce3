"""Calls of every kind: python cases.py ADDRESS AUTHORITY [--ca FILE] [--only NAME,NAME] [--channel NAME=NUMBER,…].

Prints a line of JSON a case: its name, and the verdict, which is all that the client could see and what the app told. Where a
case states something itself and it does not hold, the verdict has a member `broken`. `--channel` gives arguments of grpcio.
"""

import json
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import kinds
import named
from calls import ALONE, ASKED, CASES, Peer
from ends import hold_until_killed

# They have put their cases into the lists.
assert kinds and named
# A line at a time.
SAYING = threading.Lock()


def judge(function, peer):
    try:
        verdict = function(peer)
    except Exception:
        verdict = {"broken": traceback.format_exc()}
    with SAYING:
        print(json.dumps([function.__name__, verdict]), flush=True)


def main():
    arguments = sys.argv[1:]
    address, authority = arguments[:2]
    options = dict(zip(arguments[2::2], arguments[3::2]))
    channel = [(name, int(value)) for name, value in (text.split("=") for text in options.get("--channel", "").split(",") if text)]
    peer = Peer(address, authority, options.get("--ca"), channel)
    if "--hold" in options:
        return hold_until_killed(peer, options["--hold"])
    if "--only" in options:
        every = CASES | ASKED | ALONE
        together, last = [every[name] for name in options["--only"].split(",")], []
    else:
        together, last = CASES.values(), ALONE.values()
    with ThreadPoolExecutor(6) as pool:
        for function in together:
            pool.submit(judge, function, peer)
    for function in last:
        judge(function, peer)
    return None


main()
