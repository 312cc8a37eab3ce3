"""Calls of every kind, and what they carry."""

import json
import random
import uuid

import grpc

from calls import DEFAULT, Talk, case, digest, digest_of_one, ending, metadata, numbered, one, rest, stream

# ── Every kind of call, and what it carries ──────────────────────────────────────────────────────────────────────────────


@case
def unary(peer):
    return [one(peer.call("echo"), request) for request in (b"", b"hello", "Grüße, 世界".encode())]


@case
def unary_that_compresses(peer):
    request = b"again and again " * 100_000
    return [
        one(peer.call(method), request, digest_of_one, compression=kind)
        for method in ("echo", "echo_compressed")
        for kind in (None, grpc.Compression.Gzip, grpc.Compression.Deflate)
    ]


@case
def server_streaming(peer):
    return [stream(peer.source("many"), json.dumps({"count": count, "size": 1000}).encode()) for count in (0, 1, 100)]


@case
def client_streaming(peer):
    return [one(peer.sink("collect"), numbered(count, 1000)) for count in (0, 1, 100)]


@case
def bidirectional_in_turns(peer):
    talk = Talk()
    answers = peer.both("chat")(talk, **DEFAULT)
    heard = []
    for message in numbered(500, 100):
        talk.say(message)
        heard.append(next(answers))
    talk.end()
    return {"heard": digest(heard), "sent": digest(numbered(500, 100)), "end": rest(answers)}


@case
def bidirectional_each_at_its_own_speed(peer):
    def requests():
        yield json.dumps({"count": 3000, "size": 300}).encode()
        yield from numbered(3000, 200)

    verdict = stream(peer.both("free"), requests(), lambda seen: [digest(seen[:-1]), json.loads(seen[-1])])
    assert verdict["answers"][1] == digest(numbered(3000, 200)), verdict
    return verdict


@case
def large_messages(peer):
    large = random.Random(7).randbytes(1024) * (16 * 1024)
    up = one(peer.call("echo"), large, lambda answer: answer == large)
    down = stream(peer.source("many"), json.dumps({"count": 2, "size": 16 << 20}).encode(), timeout=30)
    return {"up and down": up, "down": down, "up": one(peer.sink("collect"), iter([large, large]), timeout=30)}


@case
def thousands_of_small_messages(peer):
    down = stream(peer.source("many"), json.dumps({"count": 5000, "size": 20}).encode())
    return {"down": down, "up": one(peer.sink("collect"), numbered(5000, 20))}


@case
def many_calls_one_after_the_other(peer):
    return digest(peer.call("echo")(message, **DEFAULT) for message in numbered(200, 50))


@case
def a_hundred_calls_at_once(peer):
    name = uuid.uuid4().hex
    request = json.dumps({"name": name, "all": 100}).encode()
    calls = [peer.call("gather").future(request, **DEFAULT) for _ in range(100)]
    verdicts = [ending(call) | {"answer": call.result() == request} for call in calls]
    assert all(verdict["status"] == "OK" for verdict in verdicts), verdicts
    return len(verdicts)


# ── Metadata and status ──────────────────────────────────────────────────────────────────────────────────────────────────

CARRIED = [
    ("text", "plain"),
    ("text", "again, with \"quotes\" and, commas"),
    ("signs", "!#$%&'()*+-./:;<=>?@[]^_`{|}~"),
    ("empty", ""),
    ("some-bin", bytes(range(256))),
    ("some-bin", b""),
    ("some-bin", b"\x00"),
    ("two-bin", b"\xff\xfe"),
    ("long", "x" * 2000),
]


@case
def metadata_both_ways(peer):
    carried = [(prefix + name, value) for prefix in ("initial-", "trailing-") for name, value in CARRIED]
    messages = json.dumps({"count": 3, "size": 10}).encode()
    return [
        one(peer.call("echo"), b"x", metadata=carried),
        stream(peer.source("many"), messages, metadata=carried),
        one(peer.sink("collect"), iter([b"x"]), metadata=carried),
        stream(peer.both("chat"), iter([b"x"]), metadata=carried),
    ]


@case
def initial_metadata_come_first(peer):
    talk = Talk()
    answers = peer.both("chat")(talk, metadata=[("initial-word", "early")], **DEFAULT)
    before = metadata(answers.initial_metadata())
    talk.end()
    return {"before": {"initial": before}, "end": rest(answers)}


@case
def what_the_app_sees(peer):
    sent = [("text", "one"), ("text", "two"), ("some-bin", b"\x00\xff"), ("authorization", "Bearer of-the-app"), ("x-api-version", "7")]
    return one(peer.call("seen"), b"", json.loads, metadata=sent, timeout=None)


@case
def a_status_of_each_kind(peer):
    codes = [code.name for code in grpc.StatusCode if code.name != "OK"]
    asks = [json.dumps({"code": code, "details": f"this is {code}"}).encode() for code in codes]
    verdicts = [one(peer.call("fail"), ask) for ask in asks]
    assert [verdict["status"] for verdict in verdicts] == codes
    return verdicts


@case
def details_that_need_an_encoding(peer):
    texts = ["", "100 % sure", "Grüße,\n\t世界", "%41%zz", "a" * 1500, "\x7f\x01"]
    verdicts = [one(peer.call("fail"), json.dumps({"code": "ABORTED", "details": text}).encode()) for text in texts]
    assert [verdict["details"] for verdict in verdicts] == texts
    return verdicts


@case
def a_status_with_metadata(peer):
    sent = [("initial-a", "first"), ("trailing-b", "last"), ("trailing-grpc-bin", b"\x08\x05\x12\x00")]
    ask = json.dumps({"code": "NOT_FOUND", "details": "no such thing"}).encode()
    return [one(peer.call("fail"), ask, metadata=sent), one(peer.call("fail"), ask, metadata=sent[1:])]


@case
def a_status_after_some_messages(peer):
    ask = {"count": 3, "size": 1000, "code": "DATA_LOSS", "details": "it ends here"}
    verdict = stream(peer.source("many"), json.dumps(ask).encode(), metadata=[("trailing-why", "so")])
    assert (verdict["status"], verdict["answers"]["count"]) == ("DATA_LOSS", 3)
    return verdict


@case
def no_such_method(peer):
    def ask(name):
        return one(peer.channel.unary_unary(name), b"x")

    verdicts = [ask(name) for name in ("/test.App/nothing", "/test.Other/echo", "/nothing")]
    return [*verdicts, stream(peer.both("nothing"), iter([b"x"]))]


@case
def answers_before_the_requests_have_ended(peer):
    verdicts = []
    for ask in ({"code": "OK"}, {"code": "INVALID_ARGUMENT", "details": "not that"}):
        first = json.dumps(ask).encode()
        for make, end in ((peer.sink("early").future, ending), (peer.both("early_chat"), rest)):
            talk = Talk(first)
            verdicts.append(end(make(talk, **DEFAULT)))
            talk.end()
    # While the client goes on sending.
    verdicts.append(one(peer.sink("early"), (b'{"code": "OK"}' if number == 0 else bytes(1000) for number in range(20_000))))
    return verdicts


@case
def a_stream_that_the_app_resets(peer):
    talk = Talk(b"first")
    answers = peer.both("give_up")(talk, **DEFAULT)
    verdict = rest(answers)
    talk.end()
    return verdict
