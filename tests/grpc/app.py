"""An app that speaks gRPC, of the library grpcio: python app.py [--tls CERT KEY] [name=number …]. Prints its URL.

Further arguments are channel arguments of grpcio's server. The service test.App takes and gives bytes; requests that say what
to do are JSON. Beside it are the library's own health and reflection services.
"""

import hashlib
import json
import os
import sys
import threading
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

STATUS = {code.name: code for code in grpc.StatusCode}
UNIQUE = threading.Condition()


class Fates:
    """How calls ended, by the id that they came with."""

    def __init__(self):
        self.begun, self.ended, self.known = set(), {}, threading.Condition()

    def watch(self, context):
        """Tells of the call once the library says that it is over; the event is set then."""
        gone, call = threading.Event(), {"finished": False}
        name = dict(context.invocation_metadata()).get("call-id", "")

        def over():
            gone.set()
            with self.known:
                self.ended[name] = "finished" if call["finished"] else "cancelled"
                self.known.notify_all()

        if not context.add_callback(over):
            over()
        with self.known:
            self.begun.add(name)
            self.known.notify_all()
        return gone, call

    def has_begun(self, name):
        with self.known:
            return self.known.wait_for(lambda: name in self.begun, 5)

    def of(self, name):
        with self.known:
            self.known.wait_for(lambda: name in self.ended, 5)
            return self.ended.get(name, "none")


FATES = Fates()
GATHERED = {}
SENT = {}


def opening(context):
    """Gives metadata back: initial-… in front of the answer, trailing-… behind it."""
    initial = [(name, value) for name, value in context.invocation_metadata() if name.startswith("initial-")]
    trailing = [(name, value) for name, value in context.invocation_metadata() if name.startswith("trailing-")]
    if initial:
        context.send_initial_metadata(initial)
    context.set_trailing_metadata(trailing)


def piece(number, size):
    """Message `number`: its number, then octets that no other has."""
    return number.to_bytes(8, "big") + hashlib.shake_128(number.to_bytes(8, "big")).digest(max(0, size - 8))


def digest(messages):
    count, octets, sum_of_all = 0, 0, hashlib.sha256()
    for message in messages:
        count, octets = count + 1, octets + len(message)
        sum_of_all.update(len(message).to_bytes(8, "big") + message)
    return {"count": count, "octets": octets, "sha256": sum_of_all.hexdigest()[:16]}


def echo(request, context):
    opening(context)
    return request


def echo_compressed(request, context):
    context.set_compression(grpc.Compression.Gzip)
    return request


def seen(_, context):
    """What came with the call."""
    remaining = context.time_remaining()
    metadata = [[name, value.hex() if isinstance(value, bytes) else value] for name, value in context.invocation_metadata()]
    host = context._rpc_event.call_details.host.decode()
    left = None if remaining is None or remaining > 1e9 else remaining
    return json.dumps({"metadata": metadata, "left": left, "host": host}).encode()


def fail(request, context):
    opening(context)
    wanted = json.loads(request)
    context.abort(STATUS[wanted["code"]], wanted["details"])


def many(request, context):
    opening(context)
    wanted = json.loads(request)
    name = dict(context.invocation_metadata()).get("call-id", "")
    for number in range(wanted["count"]):
        SENT[name] = number
        yield piece(number, wanted["size"])
    if "code" in wanted:
        context.abort(STATUS[wanted["code"]], wanted["details"])


def sent(request, _):
    """How many messages of a call of `many` were asked for by the library."""
    return str(SENT.get(request.decode(), 0)).encode()


def collect(requests, context):
    opening(context)
    return json.dumps(digest(requests)).encode()


def chat(requests, context):
    opening(context)
    yield from requests


def free(requests, context):
    """Sends and takes at once, each at its own speed; what was taken is told at the end."""
    opening(context)
    wanted = json.loads(next(requests))
    taken = {}
    reader = threading.Thread(target=lambda: taken.update(digest(requests)))
    reader.start()
    for number in range(wanted["count"]):
        yield piece(number, wanted["size"])
    reader.join()
    yield json.dumps(taken).encode()


def early(requests, context):
    """Answers after the first message, whatever else is still to come."""
    wanted = json.loads(next(requests))
    if wanted["code"] != "OK":
        context.abort(STATUS[wanted["code"]], wanted["details"])
    return b"enough"


def early_chat(requests, context):
    yield early(requests, context)


def give_up(requests, context):
    """Cancels its own call: the library resets the stream."""
    yield next(requests)
    context.cancel()
    threading.Event().wait(0.2)


def hold(request, context):
    """Answers only when the call is over."""
    gone, call = FATES.watch(context)
    call["finished"] = not gone.wait(20)
    return request


def hold_after_some(request, context):
    gone, call = FATES.watch(context)
    yield request
    yield request
    call["finished"] = not gone.wait(20)


def hold_taking(requests, context):
    gone, call = FATES.watch(context)
    for _ in requests:
        pass
    call["finished"] = not gone.wait(20)
    return b""


def unread(_, context):
    """Takes nothing of what is sent."""
    gone, call = FATES.watch(context)
    call["finished"] = not gone.wait(20)
    return b""


def hold_chat(requests, context):
    gone, call = FATES.watch(context)
    for request in requests:
        yield request
    call["finished"] = not gone.wait(20)


def fate(request, _):
    return FATES.of(request.decode()).encode()


def begun(request, _):
    return b"yes" if FATES.has_begun(request.decode()) else b"no"


def gather(request, context):
    """Answers when as many calls of a name are here as are to come."""
    wanted = json.loads(request)
    with UNIQUE:
        GATHERED[wanted["name"]] = GATHERED.get(wanted["name"], 0) + 1
        UNIQUE.notify_all()
        if not UNIQUE.wait_for(lambda: GATHERED[wanted["name"]] >= wanted["all"], 10):
            context.abort(grpc.StatusCode.ABORTED, f"only {GATHERED[wanted['name']]} came")
    return request


def delayed(request, _):
    threading.Event().wait(json.loads(request)["seconds"])
    return request


def silent(requests, context):
    """Says first that it is there, then only what it is asked."""
    context.send_initial_metadata([("initial-here", "yes")])
    yield from requests


def silent_source(request, context):
    yield request
    threading.Event().wait(json.loads(request)["seconds"])
    yield request


def silent_sink(requests, context):
    context.send_initial_metadata([("initial-here", "yes")])
    return json.dumps(digest(requests)).encode()


def die(requests, context):
    yield next(requests)
    next(requests)
    os._exit(1)


def set_health(request, _):
    wanted = json.loads(request)
    HEALTH.set(wanted["service"], health_pb2.HealthCheckResponse.ServingStatus.Value(wanted["status"]))
    return b""


HEALTH = health.HealthServicer(experimental_non_blocking=False, experimental_thread_pool=futures.ThreadPoolExecutor(8))
METHODS = {
    grpc.unary_unary_rpc_method_handler: [echo, echo_compressed, seen, fail, sent, hold, begun, fate, gather, delayed, set_health],
    grpc.unary_stream_rpc_method_handler: [many, hold_after_some, silent_source],
    grpc.stream_unary_rpc_method_handler: [collect, early, hold_taking, unread, silent_sink],
    grpc.stream_stream_rpc_method_handler: [chat, free, early_chat, give_up, hold_chat, silent, die],
}


def main():
    arguments = sys.argv[1:]
    tls = arguments[1:3] if arguments[:1] == ["--tls"] else None
    options = [(name, int(value)) for name, value in (text.split("=") for text in arguments[3 if tls else 0:])]
    # Another server must not take the same port.
    options += [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(160), options=options)
    handlers = {function.__name__: kind(function) for kind, functions in METHODS.items() for function in functions}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.App", handlers),))
    health_pb2_grpc.add_HealthServicer_to_server(HEALTH, server)
    HEALTH.set("test.App", health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection([health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    if tls:
        chain, key = (open(path, "rb").read() for path in tls)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"http://127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


main()
