"""WebSockets of the library `wsproto`: over a connection of their own, or over streams of one HTTP/2 connection (RFC 8441,
with the library `h2`)."""

import asyncio
import ssl

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RemoteSettingsChanged, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection, ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.handshake import client_extensions_handshake

CHUNK = 65_536


class Refused(Exception):
    """The answer is not a WebSocket: its status."""


class Socket:
    """A WebSocket that is open."""

    def __init__(self, lane, state):
        self.lane, self.state = lane, state
        # What the peer's close frame said: code and reason; none before it, 1006 where the connection ended without one.
        self.closed = None
        # How a stream of HTTP/2 ended that was reset.
        self.reset = None
        self.pongs = []
        self.pieces = []

    async def send(self, message):
        event = TextMessage(data=message) if isinstance(message, str) else BytesMessage(data=message)
        await self.lane.send(self.state.send(event))

    async def send_parts(self, parts, ping_every):
        """One message, a frame for each part, with a ping before each so many of them that tells the number of the part."""
        for at, part in enumerate(parts):
            if at % ping_every == 0:
                await self.ping(b"%d" % at)
            await self.lane.send(self.state.send(BytesMessage(data=part, message_finished=at + 1 == len(parts))))

    async def ping(self, payload):
        await self.lane.send(self.state.send(Ping(payload=payload)))

    async def close(self, code, reason=None):
        """Says that it closes, and reads until the peer has said so too and ended the connection."""
        await self.lane.send(self.state.send(CloseConnection(code=code, reason=reason)))
        async for _ in self:
            pass

    async def __aiter__(self):
        """The messages, until the connection has ended."""
        # Frames may have come with the handshake's answer.
        octets, self.failed = b"before", False
        while octets:
            for event in () if self.failed else self.state.events():
                message = await self.handle(event)
                if message is not None:
                    yield message
            octets = await self.lane.receive()
            if octets and not self.failed and self.state.state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING):
                self.state.receive_data(octets)
        self.reset = self.lane.reset
        if self.closed is None:
            self.closed = (1006, None)
        await self.lane.end()

    async def handle(self, event):
        if isinstance(event, Message):
            self.pieces.append(event.data)
            if event.message_finished:
                whole = type(self.pieces[0])().join(self.pieces)
                self.pieces.clear()
                return whole
        elif isinstance(event, Ping):
            await self.lane.send(self.state.send(event.response()))
        elif isinstance(event, Pong):
            self.pongs.append(bytes(event.payload))
        elif isinstance(event, CloseConnection):
            if self.state.state is ConnectionState.OPEN:
                # The peer broke the rules: it is told, and nothing more is taken from it.
                self.failed = True
                await self.lane.send(self.state.send(CloseConnection(code=event.code, reason=event.reason)))
                await self.lane.end()
            else:
                self.closed = (int(event.code), event.reason)
                if self.state.state is ConnectionState.REMOTE_CLOSING:
                    await self.lane.send(self.state.send(event.response()))
                await self.lane.end()
        return None


async def dial(host, port, ca, version):
    """A way to the gateway over TLS, in this version of HTTP: "1.1" or "2"."""
    return await Http2.connect(host, port, ca) if version == "2" else Http1(host, port, ca)


class Http1:
    """Each WebSocket on a connection of its own: to `port` of this machine, whatever `host` means elsewhere."""

    def __init__(self, host, port, ca=None):
        self.host, self.port, self.ca = host, port, ca

    async def open(self, target, compressed=True):
        tls = {"ssl": ssl.create_default_context(cafile=self.ca), "server_hostname": self.host} if self.ca else {}
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **tls)
        state = WSConnection(ConnectionType.CLIENT)
        ask = Request(host=self.host, target=target, extensions=[PerMessageDeflate()] if compressed else [])
        writer.write(state.send(ask))
        while True:
            state.receive_data(await reader.read(CHUNK) or None)
            for event in state.events():
                if isinstance(event, AcceptConnection):
                    return Socket(Connected(reader, writer), state)
                if isinstance(event, RejectConnection):
                    raise Refused(event.status_code)

    async def close(self):
        pass


class Connected:
    """The octets of one connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.reset = reader, writer, None

    async def send(self, octets):
        try:
            self.writer.write(octets)
            await self.writer.drain()
        except ConnectionError:
            # Reading tells how it ended.
            pass

    async def receive(self):
        try:
            return await self.reader.read(CHUNK)
        except ConnectionError as error:
            self.reset = repr(error)
            return b""

    async def end(self):
        self.writer.close()

    async def abort(self):
        self.writer.transport.abort()


class Http2:
    """All WebSockets on one connection."""

    @classmethod
    async def connect(cls, host, port, ca):
        context = ssl.create_default_context(cafile=ca)
        context.set_alpn_protocols(["h2"])
        self = cls()
        self.host = host
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)
        self.state = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.lanes = {}
        self.takes_websockets = asyncio.Event()
        self.moved = asyncio.Condition()
        self.state.initiate_connection()
        await self.flush()
        self.task = asyncio.create_task(self.read())
        return self

    async def flush(self):
        self.writer.write(self.state.data_to_send())
        await self.writer.drain()

    async def read(self):
        while octets := await self.reader.read(CHUNK):
            for event in self.state.receive_data(octets):
                self.handle(event)
            await self.flush()
            async with self.moved:
                self.moved.notify_all()

    def handle(self, event):
        if isinstance(event, RemoteSettingsChanged):
            setting = event.changed_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL)
            if setting and setting.new_value == 1:
                self.takes_websockets.set()
        elif isinstance(event, ResponseReceived):
            self.lanes[event.stream_id].head.set_result(dict(event.headers))
        elif isinstance(event, DataReceived):
            self.lanes[event.stream_id].came.put_nowait((event.data, event.flow_controlled_length))
        elif isinstance(event, StreamEnded):
            self.lanes[event.stream_id].came.put_nowait((b"", 0))
        elif isinstance(event, StreamReset):
            lane = self.lanes[event.stream_id]
            lane.reset = int(event.error_code)
            lane.came.put_nowait((b"", 0))

    async def open(self, target, compressed=True):
        await self.takes_websockets.wait()
        offer = PerMessageDeflate()
        fields = [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", target), (":authority", self.host),
            ("sec-websocket-version", "13"),
        ]
        if compressed:
            fields.append(("sec-websocket-extensions", f"{offer.name}; {offer.offer()}"))
        lane = Stream(self, self.state.get_next_available_stream_id())
        self.lanes[lane.id] = lane
        self.state.send_headers(lane.id, fields)
        await self.flush()
        head = await lane.head
        if head[":status"] != "200":
            raise Refused(int(head[":status"]))
        accepted = head.get("sec-websocket-extensions")
        extensions = client_extensions_handshake([accepted] if accepted else [], [offer])
        return Socket(lane, Connection(ConnectionType.CLIENT, extensions))

    async def close(self):
        """Says that it has done, and waits until the peer has closed."""
        self.state.close_connection()
        await self.flush()
        await self.task
        self.writer.close()


class Stream:
    """The octets of one stream."""

    def __init__(self, connection, number):
        self.connection, self.id, self.reset, self.ended = connection, number, None, False
        self.head = asyncio.get_running_loop().create_future()
        self.came, self.sending = asyncio.Queue(), asyncio.Lock()

    async def send(self, octets):
        state, left = self.connection.state, memoryview(octets)
        # What one asks to be sent goes before what the next asks, whole.
        async with self.sending:
            while left and self.reset is None:
                room = min(state.local_flow_control_window(self.id), state.max_outbound_frame_size)
                if room <= 0:
                    async with self.connection.moved:
                        await self.connection.moved.wait()
                    continue
                state.send_data(self.id, bytes(left[:room]))
                left = left[room:]
                await self.connection.flush()

    async def receive(self):
        octets, length = await self.came.get()
        if length:
            # Only now, so that a reader that is slow holds the sender back.
            self.connection.state.acknowledge_received_data(length, self.id)
            await self.connection.flush()
            return octets or await self.receive()
        return octets

    async def end(self):
        if not self.ended and self.reset is None:
            self.ended = True
            self.connection.state.end_stream(self.id)
            await self.connection.flush()

    async def abort(self):
        if self.reset is None:
            self.reset = "by the client"
            self.connection.state.reset_stream(self.id, ErrorCodes.CANCEL)
            await self.connection.flush()
            self.came.put_nowait((b"", 0))
