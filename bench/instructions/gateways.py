"""The gateway under callgrind: started, loaded, and its worker's counts for each request."""

import contextlib
import os
import re
import shlex
import socket
import subprocess
import time
from dataclasses import dataclass, field

import gatehouse
import generators
import sides
from callgrind import Dump
from machine import Trouble
from sides import HOST, LOOPBACK
from stages import CLEAR, HTTP2, LANDMARK, TLS

# Enough for the directory to be one, and few enough to be made in a moment.
TENANTS = 100
# What a worker does only once is over then: buffers are as large as they get, pools are filled, the clock is calibrated.
WARM_UP = 1500
# Requests of two measurements; what a connection costs is in both, and so not in their difference.
FEW = 300
MANY = 2300


@dataclass
class Way:
    """How requests come: over one connection, few at a time, so that it hardly varies which of them one wake-up serves together."""

    name: str
    mode: str
    options: list = field(default_factory=lambda: ["--h1"])
    streams: int = 1


WAYS = [
    Way(CLEAR, "off"),
    Way(TLS, "files"),
    Way(HTTP2, "files", [], 8),
]


class Here(sides.Place):
    """A place whose processes may run on any core: instructions are the same on all of them."""

    @property
    def proxy_cores(self):
        """All."""
        return ",".join(map(str, sorted(os.sched_getaffinity(0))))

    load_cores = proxy_cores


def free_ports(many):
    """Ports that nobody has, as the kernel finds them; each is kept until all are found."""
    with contextlib.ExitStack() as kept:
        found = [kept.enter_context(socket.socket()) for _ in range(many)]
        for one in found:
            one.bind((LOOPBACK, 0))
        return iter([one.getsockname()[1] for one in found])


class Gateway:
    """One under callgrind, which counts nothing until it is told to; its dumps have a folder of their own."""

    def __init__(self, place, mode):
        self.place, self.mode, self.dumps = place, mode, 0
        self.folder = place.folder / f"callgrind-{mode}"
        self.folder.mkdir()
        ports = [next(place.ports) for _ in range(3)]
        self.port = ports[0]
        program = self.folder / "gatehouse"
        options = ["--command-line-only=yes", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", "--dump-line=no"]
        options += [f"--callgrind-out-file={self.folder}/counts", f"--vgdb-prefix={self.folder}/vgdb"]
        command = shlex.join(["valgrind", "-q", *options, str(place.binary)])
        program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        program.chmod(0o755)
        under = Here(**{**vars(place), "binary": program})
        self.process = gatehouse.start_one(under, place.folder / f"gatehouse-{mode}", mode, ports, cores=place.proxy_cores)
        gatehouse.make_tenants(ports[1], TENANTS)

    def request(self, way):
        """What its worker does for one request. The first that are counted fill what callgrind keeps, and are left out."""
        self.load(way, WARM_UP)
        self.tell("instrumentation", "on")
        parts = [self.counted(way, many) for many in (FEW, FEW, MANY)]
        self.tell("instrumentation", "off")
        return parts[2].less(parts[1], MANY - FEW)

    def counted(self, way, many):
        """What its worker did for so many, and for the connection that they came by."""
        self.load(way, many)
        self.process.check()
        self.tell("dump")
        self.dumps += 1
        files = self.folder.glob(f"counts.{self.dumps}-*")
        dumps = [Dump.read(path) for path in files if LANDMARK in path.read_text(errors="replace")]
        if not dumps:
            raise Trouble(f"callgrind knows no {LANDMARK}: the binary has no symbols, or the stages have other names")
        return max(dumps, key=lambda dump: dump.inclusive({LANDMARK}))

    def tell(self, *words):
        """To callgrind, in the process."""
        command = ["vgdb", f"--vgdb-prefix={self.folder}/vgdb", f"--pid={self.process.child.pid}", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        if done.returncode != 0:
            raise Trouble(f"callgrind does not hear {' '.join(words)!r}: {done.stderr.strip()}")

    def load(self, way, many):
        """So many requests over one connection; every one must be answered."""
        url = f"{'http' if self.mode == 'off' else 'https'}://{HOST}:{self.port}/100"
        command = ["h2load", *way.options, "-t1", "-c1", f"-m{way.streams}", f"-n{many}", "--connect-to", f"{LOOPBACK}:{self.port}", url]
        text = generators.generate(self.place, command, 1)
        counted = re.search(r"^status codes: (\d+) 2xx, ", text, re.M)
        octets = re.search(r"\((\d+)\) data$", text, re.M)
        if not (counted and octets and int(counted[1]) == many and int(octets[1]) == 100 * many):
            raise Trouble(f"not {many} good answers: {text}")
        # Until the end of the connection is seen as well.
        time.sleep(0.2)
