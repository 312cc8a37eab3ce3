"""What the two ends of the public suite share. The suite is Autobahn's: its own cases, run by `kosoku`."""

import hashlib
import json
import os

from kosoku import FailureError
from kosoku.cases import CASES


def prepare():
    """Fits the cases that send 1,000 equal messages one after the other: to as many as MESSAGES says, and to slow machines.

    How fast an implementation is, which their limits of time look at, is not what is judged here.
    """
    for case in CASES.values():
        if hasattr(case, "COUNT"):
            case.COUNT = int(os.environ.get("MESSAGES", case.COUNT))
            case.WAITSECS *= 10


async def verdicts(results):
    """What is kept of each case: the suite's verdicts, and what it saw that led to them."""
    try:
        results = await results
    except FailureError as failure:
        results = failure.results
    return {result.case_id: verdict(result) for result in results}


def verdict(result):
    return {
        "behavior": result.behavior.value,
        "behaviorClose": result.behavior_close.value,
        "said": result.result,
        "saidOfClose": result.result_close,
        "closeCode": result.remote_close_code,
        "closeReason": result.remote_close_reason,
        "clean": result.was_clean,
        "peer": result.agent,
        "received": hashlib.sha256(repr(result.received).encode()).hexdigest(),
    }


def tell(found):
    """Prints it as JSON, as the last thing that is done."""
    print(json.dumps(found), flush=True)
    # Not the way out through the interpreter's end: threads of the suite may still be at work, which ends in an abort at times.
    os._exit(0)
