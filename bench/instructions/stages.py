"""The stages of a request as its worker's functions: which are asked for, and what is in one and told by another.

The functions are such as a release build keeps: those called from several places, those behind a `dyn`, and large ones. Where
builds differ in what they inline, a stage has the names of both. A stage whose functions are not there is not found, not free."""

import re
from dataclasses import dataclass, field

CLEAR, TLS, HTTP2 = "HTTP/1.1 clear", "HTTP/1.1 over TLS", "HTTP/2 over TLS"
ALL = (CLEAR, TLS, HTTP2)
# Where all requests of a worker pass, over whichever protocol.
LANDMARK = "gatehouse::proxy::handle"
ALLOCATIONS = r"^(_rjem_)?(malloc|mallocx|calloc|realloc|rallocx|aligned_alloc|posix_memalign)$"


@dataclass
class Stage:
    """Functions, by patterns of their whole names, with all that is below them, less that of other stages. `within`: a part of
    the stage before, told as well. `shared`: the ways in which several requests share one turn of it, as many as the run makes
    ready at once; its cost for each of them is told, and not compared."""

    name: str
    functions: list
    less: list = field(default_factory=list)
    ways: tuple = ALL
    within: bool = False
    shared: tuple = ()

    def pattern(self):
        """Of any of its functions. A type's parameters are not told in the symbols of all builds."""
        return "^(" + "|".join(self.functions) + ")$"


RECORDS = Stage(
    "TLS records, read and written",
    [
        r"<tokio_rustls::server::TlsStream<.*> as .*>::poll_\w+",
        r"tokio_rustls::common::Stream<.*>::\w+",
        r"rustls::conn::connection::<impl rustls::conn::ConnectionCommon<.*>>::send_plaintext",
        r"<rustls::conn::ConnectionCommon<.*> as rustls::conn::connection::PlaintextSink>::\w+",
        r"rustls::vecbuf::ChunkVecBuffer::write_to",
    ],
    ways=(TLS, HTTP2),
    # A record holds the frames of all that is ready. The same functions are compared over HTTP/1.1, with a record each way.
    shared=(HTTP2,),
)
APP = Stage(
    "the app's connection: request written, answer's head read",
    [r"gatehouse::upstream::pool::Pool::(send|begin)", r"gatehouse::upstream::exchange::Exchange<.*>::poll_head"],
)
STAGES = [
    Stage("the runtime: waiting, timers", [r"tokio::runtime::scheduler::current_thread::Context::park"]),
    RECORDS,
    Stage("head read and judged", [r"gatehouse::proxy::framing::head::judge"], ways=(CLEAR, TLS)),
    Stage(
        "HTTP/2 frames, read and written",
        [r"h2::server::Connection<.*>::poll_accept", r"h2::proto::connection::Connection<.*>::poll\w*"],
        [RECORDS],
        (HTTP2,),
    ),
    Stage("admit to reserve, and what the app is told", [re.escape(LANDMARK)]),
    Stage("resolve, authorize, throttle, reserve", [r"gatehouse::proxy::let_in"], within=True),
    Stage("what the app is told", [r"gatehouse::proxy::forward::outgoing"], within=True),
    APP,
    Stage("the answer's head read", [r"gatehouse::upstream::head::HeadReader::advance"], within=True),
    Stage("forward and settle, around that", [r"gatehouse::proxy::pass::\{\{closure\}\}"], [APP]),
    Stage("settle", [r"gatehouse::proxy::settle::app"], within=True),
    Stage("answer's head written", [r"gatehouse::proxy::http1::response::write_head"], ways=(CLEAR, TLS)),
    Stage(
        "answer's head and body given to HTTP/2",
        [
            r"gatehouse::proxy::answer::Answer::into_http",
            r"gatehouse::message::fields::Fields::into_map",
            r"h2::(server::SendResponse|share::SendStream|proto::streams::streams::StreamRef)<.*>::send_(response|data)",
        ],
        ways=(HTTP2,),
    ),
    Stage("answer's body, until its end is known", [r"<gatehouse::proxy::body::AppBody as http_body::Body>::poll_frame"]),
    Stage(
        "the end: metrics, access log, what was taken given back",
        [
            r"core::ptr::drop_in_place<(alloc::boxed::Box<)?gatehouse::proxy::(body::(AppBody|AnswerBody)|context::Exchange)>+",
            r"<gatehouse::proxy::context::Exchange as core::ops::drop::Drop>::drop",
        ],
    ),
    Stage("the access log's line", [r"gatehouse::observe::access_log::(AccessWriter::write|line::record)"], within=True),
]
REST = "the rest"


def found(dump, way):
    """What a dump of one request says: instructions in all and by stage (none where it is not found), and allocations."""
    asked = [stage for stage in STAGES if way in stage.ways]
    stages = {stage.name: of_stage(dump, stage) for stage in asked}
    known = sum(stages[stage.name] or 0 for stage in asked if not stage.within)
    allocations = dump.times(dump.functions(ALLOCATIONS))
    stages[REST] = round(dump.total - known)
    return {"total": round(dump.total), "allocations": round(allocations, 1) or None, "stages": stages}


def compared(way):
    """The stages' names whose cost is the code's alone."""
    return {stage.name for stage in STAGES if way in stage.ways and way not in stage.shared} | {REST}


def of_stage(dump, stage):
    """Instructions for one request, or none: what is not entered has no cost that could be told."""
    costs = [dump.inclusive(dump.functions(part.pattern())) for part in (stage, *stage.less)]
    return round(costs[0] - sum(costs[1:])) if min(costs) >= 1 else None
