"""What is compared and what that needs: a proxy as a run sees it, the place it runs in, and the app behind all of them."""

import hashlib
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from machine import LOAD_CORE, PROXY_CORE, Process

BASE = "bench.localhost"
SLUG = "tenant-0"
HOST = f"{SLUG}.{BASE}"
# Below no tenant, nor below the base domain.
STRANGER = "nobody.elsewhere.localhost"
BODIES = {"/100": 100, "/16k": 16 * 1024, "/1m": 1024 * 1024}
UPLOAD = 10 * 1024
# Octets of the answer to each path that is measured.
ANSWERS = BODIES | {"/upload": 100}
HERE = Path(__file__).resolve().parent
LOOPBACK = "127.0.0.1"


@dataclass
class Place:
    """Where a run's processes are, and with how many workers: each proxy alone on a core, or all on both."""

    # Of the run, and of this place alone.
    root: Path
    folder: Path
    ports: object
    binary: Path
    tools: Path
    tenants: int
    certificate: Path
    key: Path
    workers: int = 1
    # The app's port, once it is there.
    origin: int = 0
    started: list = field(default_factory=list)

    @property
    def proxy_cores(self):
        """Where the proxies may run."""
        return PROXY_CORE if self.workers == 1 else f"{PROXY_CORE},{LOAD_CORE}"

    @property
    def load_cores(self):
        """Where everything else may run. With two workers that is where they are: these machines have no third core."""
        return LOAD_CORE if self.workers == 1 else f"{PROXY_CORE},{LOAD_CORE}"

    def start(self, name, command, cores, log, environment=None):
        """A process that ends with the place."""
        process = Process(name, command, cores, log, environment)
        self.started.append(process)
        return process

    def stop(self):
        """Ends all that was started here, the last first."""
        while self.started:
            self.started.pop().stop()


class Side:
    """A proxy: its processes, the ports of its listeners, its access logs, and what it cannot do.

    `lacks` may have: `tls`; `tenants` (finds none, so it tells none, and refuses only what is below no tenant's domain);
    `request id`; `refusals` (refuses nobody)."""

    def __init__(self, name, processes, clear, tls, logs, lacks=()):
        self.name, self.processes, self.clear, self.tls, self.logs = name, processes, clear, tls, logs
        self.lacks = frozenset(lacks)
        self.sizes = {}

    def port(self, load):
        """Where a load goes."""
        return self.tls if load.tls else self.clear

    def cpu(self):
        """CPU of all of its processes."""
        return {pid: nanoseconds for process in self.processes for pid, nanoseconds in process.cpu().items()}

    def memory(self):
        """Bytes that all of its processes have to themselves."""
        return sum(process.memory() for process in self.processes)

    def forget_logs(self):
        """Access logs are appended to: what was logged is not needed, and a run writes gigabytes of it."""
        for log in self.logs:
            if log.exists():
                os.truncate(log, 0)


def body(size):
    """What the app answers: no two pages of it alike, so that a piece in the wrong place is noticed."""
    blocks = (hashlib.sha256(str(at).encode()).hexdigest() for at in range(size // 64 + 1))
    return "".join(blocks)[:size].encode()


def template(name, into, **values):
    """Fills in a configuration of this folder: `@NAME@` stands for a value."""
    text = (HERE / name).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key.upper()}@", str(value))
    into.write_text(text)
    return into


def make_certificate(folder):
    """ECDSA P-256, for all sides."""
    certificate, key = folder / "bench.crt", folder / "bench.key"
    names = f"subjectAltName=DNS:{BASE},DNS:*.{BASE}"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    make += ["-subj", f"/CN={BASE}", "-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def nginx_user():
    """Started by root, NGINX's workers become another user, who may not look into the run's folder."""
    return "user root;" if os.geteuid() == 0 else ""


def nginx_command(folder, config):
    """Any NGINX; its folder takes what it writes."""
    return ["nginx", "-p", folder, "-c", config, "-e", folder / "error.log", "-g", "daemon off;"]


def start_origin(folder, port, started, cores=LOAD_CORE, neighbour=9):
    """The app: files and constants, from the kernel's cache. What it cannot do itself it asks of its neighbour's port."""
    pages = folder / "pages"
    pages.mkdir(parents=True)
    for path, size in BODIES.items():
        (pages / path[1:]).write_bytes(body(size))
    values = {"user": nginx_user(), "port": port, "pages": pages, "small": body(100).decode(), "neighbour": neighbour}
    config = template("origin.conf", folder / "nginx.conf", **values)
    process = Process("the origin", nginx_command(folder, config), cores, folder / "output.log")
    started.append(process)
    process.wait_for(port)


def start_app(place):
    """The app of a place, with the neighbour that compares uploads and echoes WebSocket."""
    folder = place.folder / "origin"
    place.origin, neighbour = next(place.ports), next(place.ports)
    start_origin(folder, place.origin, place.started, place.load_cores, neighbour)
    upload = upload_file(place)
    upload.write_bytes(body(UPLOAD))
    command = [place.tools / "app", f"listen={LOOPBACK}:{neighbour}", f"upload={upload}", f"answer={folder / 'pages' / '100'}"]
    place.start("the origin's neighbour", command, place.load_cores, folder / "neighbour.log").wait_for(neighbour)


def upload_file(place):
    """What clients upload."""
    return place.folder / "origin" / "upload"
