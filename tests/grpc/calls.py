"""A client of the library grpcio, what it sees of a call as data that can be compared, and the list of cases."""

import hashlib
import queue
import re
import time
import uuid

import grpc

# Long enough for a machine that has much else to do.
DEFAULT = {"timeout": 60}

CASES = {}
ALONE = {}
ASKED = {}


def case(function):
    """Runs beside others on one channel."""
    CASES[function.__name__] = function


def alone(function):
    """Runs when the others are over, or only when it is asked for."""
    ALONE[function.__name__] = function


def asked(function):
    """Runs only when it is asked for."""
    ASKED[function.__name__] = function


def call_id():
    name = uuid.uuid4().hex
    return name, [("call-id", name)]


def numbered(count, size):
    return (number.to_bytes(8, "big") + bytes([number % 251]) * (size - 8) for number in range(count))


class Talk:
    """The requests of a stream, given one by one."""

    def __init__(self, *first):
        self.queue = queue.SimpleQueue()
        for message in first:
            self.queue.put(message)

    def say(self, message):
        self.queue.put(message)

    def end(self):
        self.queue.put(None)

    def __iter__(self):
        return self

    def __next__(self):
        message = self.queue.get()
        if message is None:
            raise StopIteration
        return message


class Peer:
    """A channel to an app, or to the gateway before it."""

    def __init__(self, address, authority, ca=None, options=()):
        options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1), *options]
        # Channels with the same arguments would share a connection.
        options += [("grpc.use_local_subchannel_pool", 1)]
        if ca:
            credentials = grpc.ssl_channel_credentials(open(ca, "rb").read())
            options.append(("grpc.ssl_target_name_override", authority))
            self.channel = grpc.secure_channel(address, credentials, options)
        else:
            options.append(("grpc.default_authority", authority))
            self.channel = grpc.insecure_channel(address, options)

    def call(self, method):
        """One request, one answer."""
        return self.channel.unary_unary("/test.App/" + method)

    def source(self, method):
        """One request, a stream of answers."""
        return self.channel.unary_stream("/test.App/" + method)

    def sink(self, method):
        """A stream of requests, one answer."""
        return self.channel.stream_unary("/test.App/" + method)

    def both(self, method):
        """A stream each way."""
        return self.channel.stream_stream("/test.App/" + method)

    def fate(self, name):
        """How the app was told that a call ended, and whether it was within a short while from now."""
        begun = time.monotonic()
        told = self.call("fate")(name.encode(), **DEFAULT).decode()
        return {"app": told, "soon": time.monotonic() - begun < 3}


def one(call, request, read=bytes.decode, **more):
    """The verdict on a call with one answer."""
    try:
        answer, ended = call.with_call(request, **(DEFAULT | more))
    except grpc.RpcError as error:
        return ending(error)
    return ending(ended) | {"answer": read(answer)}


def stream(call, request, read=None, **more):
    """The verdict on a call with a stream of answers, read to its end."""
    answers = call(request, **(DEFAULT | more))
    return rest(answers, read)


def rest(answers, read=None):
    """The verdict on a stream that is under way."""
    seen = []
    try:
        seen.extend(answers)
    except grpc.RpcError:
        pass
    return ending(answers) | {"answers": (read or digest)(seen)}


def ending(call):
    """Status, details and metadata. How the library words its own details depends on the moment and the port."""
    details = re.sub(r"^Stream removed \((.*)\)$", r"\1", call.details() or "")
    details = re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", details)
    # Either end may be the first to see it.
    details = re.sub(r"^Deadline exceeded$", "Deadline Exceeded", details)
    return {
        "status": call.code().name,
        "details": details,
        "initial": metadata(call.initial_metadata()),
        "trailing": metadata(call.trailing_metadata()),
    }


def metadata(pairs):
    """By name; several values of a name stay in their order."""
    by_name = {}
    for name, value in pairs or ():
        by_name.setdefault(name, []).append(value.hex() if isinstance(value, bytes) else value)
    return by_name


def digest(messages):
    count, octets, sum_of_all = 0, 0, hashlib.sha256()
    for message in messages:
        count, octets = count + 1, octets + len(message)
        sum_of_all.update(len(message).to_bytes(8, "big") + message)
    return {"count": count, "octets": octets, "sha256": sum_of_all.hexdigest()[:16]}


def digest_of_one(message):
    return digest([message])
