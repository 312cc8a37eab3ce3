"""The library's own services, and cases that run only where they are asked for by name."""

import json
import threading
import time
import uuid

from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from calls import DEFAULT, Talk, asked, case, digest, ending, metadata, numbered, one, rest, stream

# ── The library's own services ───────────────────────────────────────────────────────────────────────────────────────────


@case
def health(peer):
    stub = health_pb2_grpc.HealthStub(peer.channel)
    status = health_pb2.HealthCheckResponse.ServingStatus.Name
    verdicts = [
        one(stub.Check, health_pb2.HealthCheckRequest(service=service), lambda answer: status(answer.status))
        for service in ("", "test.App", "test.Unknown")
    ]
    service = f"test.{uuid.uuid4().hex}"
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=service), **DEFAULT)
    watched = [status(next(watch).status)]
    for now in ("SERVING", "NOT_SERVING", "SERVING"):
        peer.call("set_health")(json.dumps({"service": service, "status": now}).encode(), **DEFAULT)
        watched.append(status(next(watch).status))
    watch.cancel()
    assert watched == ["SERVICE_UNKNOWN", "SERVING", "NOT_SERVING", "SERVING"]
    return {"check": verdicts, "watch": watched, "end": ending(watch)}


@case
def reflection(peer):
    stub = reflection_pb2_grpc.ServerReflectionStub(peer.channel)
    request = reflection_pb2.ServerReflectionRequest
    asks = [request(list_services=""), request(file_containing_symbol="grpc.health.v1.Health"), request(file_by_filename="none")]
    return stream(stub.ServerReflectionInfo, iter(asks), lambda seen: [digest([answer.SerializeToString(deterministic=True)]) for answer in seen])


# ── What is asked for by name ────────────────────────────────────────────────────────────────────────────────────────────


@asked
def streams_in_which_nothing_is_said(peer):
    wait = json.dumps({"seconds": 3.5}).encode()
    source = peer.source("silent_source")(wait)
    talk, sent = Talk(), Talk()
    both = peer.both("silent")(talk)
    sink = peer.sink("silent_sink").future(sent)
    begun = metadata(both.initial_metadata())
    down = rest(source)
    talk.say(b"still here")
    sent.say(b"still here")
    heard = next(both).decode()
    talk.end(), sent.end()
    return {"begun": {"initial": begun}, "down": down, "heard": heard, "both": rest(both), "sink": ending(sink) | {"answer": sink.result().decode()}}


@asked
def an_answer_that_takes_as_long_as_its_deadline_allows(peer):
    def requests():
        yield b"first"
        time.sleep(2.5)
        yield b"second"

    return [
        one(peer.call("delayed"), json.dumps({"seconds": 2.5}).encode(), json.loads),
        one(peer.sink("collect"), requests(), json.loads),
    ]


@asked
def an_answer_that_takes_too_long_without_a_deadline(peer):
    return one(peer.call("delayed"), json.dumps({"seconds": 3}).encode(), json.loads, timeout=None)


@asked
def calls_for_three_seconds(peer):
    begun, count = time.monotonic(), 0
    answers = peer.both("chat")(talk := Talk(), **DEFAULT)
    while time.monotonic() - begun < 3:
        verdict = one(peer.call("echo"), b"hello")
        assert verdict["status"] == "OK", (count, verdict)
        talk.say(b"there?")
        assert next(answers) == b"there?", count
        count += 1
    talk.end()
    return {"enough": count > 20, "end": rest(answers)}


@asked
def a_hundred_short_calls_at_once(peer):
    request = json.dumps({"seconds": 0.05}).encode()
    calls = [peer.call("delayed").future(request, **DEFAULT) for _ in range(100)]
    return [ending(call) | {"answer": call.result() == request} for call in calls]


@asked
def a_stream_that_goes_on_for_a_while(peer):
    answers = peer.both("chat")(talk := Talk(), **DEFAULT)
    for number in range(10):
        talk.say(b"there?")
        assert next(answers) == b"there?", number
        if number == 0:
            print(json.dumps(["begun", None]), flush=True)
        time.sleep(0.2)
    talk.end()
    return rest(answers)


@asked
def a_stream_with_more_than_is_taken(peer):
    begun = threading.Event()

    def messages():
        # The rest comes when the app has begun to answer: before that, the refusal is an answer of HTTP.
        for nth, message in enumerate(numbered(1000, 1000)):
            if nth == 1:
                begun.wait(20)
            yield message

    answers = peer.both("chat")(messages(), **DEFAULT)
    next(answers)
    begun.set()
    verdict = rest(answers)
    return {"status": verdict["status"], "details": verdict["details"], "some": verdict["answers"]["count"] < 999}


@asked
def waits_until_somebody_is_there(peer):
    call = peer.call("echo").future(b"hello", wait_for_ready=True, timeout=20)
    print(json.dumps(["waiting", None]), flush=True)
    return ending(call)


@asked
def one_call(peer):
    return one(peer.call("echo"), b"hello")


@asked
def two_calls(peer):
    return [one(peer.call("echo"), b"hello") for _ in range(2)]


@asked
def ten_calls_of_each_kind(peer):
    """How many octets there were each way, with the five before each message."""
    up, down, ask = 0, 0, json.dumps({"count": 10, "size": 100}).encode()
    for _ in range(10):
        up, down = up + 1005, down + one(peer.call("echo"), bytes(1000), len)["answer"] + 5
        up, down = up + 5 + len(ask), down + stream(peer.source("many"), ask)["answers"]["octets"] + 50
        up, down = up + 1050, down + one(peer.sink("collect"), numbered(10, 100), len)["answer"] + 5
        up, down = up + 1050, down + stream(peer.both("chat"), numbered(10, 100))["answers"]["octets"] + 50
    return {"calls": 40, "up": up, "down": down}
