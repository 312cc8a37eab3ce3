"""The two sides and the app behind them: how each is configured and started, and that it answers right."""

import hashlib
import json
import os
import socket
import ssl
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from machine import LOAD_CORE, PROXY_CORE, Process, Trouble

BASE = "bench.localhost"
SLUG = "tenant-0"
HOST = f"{SLUG}.{BASE}"
BODIES = {"/100": 100, "/16k": 16 * 1024, "/1m": 1024 * 1024}
HERE = Path(__file__).resolve().parent
LOOPBACK = "127.0.0.1"


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


class Side:
    """A proxy: its processes, the ports of its listeners, and its access log."""

    def __init__(self, name, processes, clear, tls, logs):
        self.name, self.processes, self.clear, self.tls, self.logs = name, processes, clear, tls, logs
        self.sizes = {}

    def port(self, load):
        """Where a load goes."""
        return self.tls if load.tls else self.clear

    def cpu(self):
        """CPU of all of its processes."""
        return {pid: nanoseconds for process in self.processes for pid, nanoseconds in process.cpu().items()}

    def forget_logs(self):
        """Access logs are appended to: what was logged is not needed, and a run writes gigabytes of it."""
        for log in self.logs:
            os.truncate(log, 0)


def make_certificate(folder):
    """ECDSA P-256, for both sides."""
    certificate, key = folder / "bench.crt", folder / "bench.key"
    names = f"subjectAltName=DNS:{BASE},DNS:*.{BASE}"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    make += ["-subj", f"/CN={BASE}", "-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def nginx_user():
    """Started by root, NGINX's workers become another user, who may not look into the run's folder."""
    return "user root;" if os.geteuid() == 0 else ""


def start_nginx(name, config, folder, core, port, started):
    """Any NGINX; its folder takes what it writes."""
    command = ["nginx", "-p", folder, "-c", config, "-e", folder / "error.log", "-g", "daemon off;"]
    process = Process(name, command, core, folder / "output.log")
    started.append(process)
    process.wait_for(port)
    return process


def start_origin(folder, port, started):
    """The app: files and constants, from the kernel's cache."""
    pages = folder / "pages"
    pages.mkdir(parents=True)
    for path, size in BODIES.items():
        (pages / path[1:]).write_bytes(body(size))
    config = template("origin.conf", folder / "nginx.conf", user=nginx_user(), port=port, pages=pages, small=body(100).decode())
    start_nginx("the origin", config, folder, LOAD_CORE, port, started)


def start_peer(folder, certificate, key, origin, clear, tls, tenants, started):
    """NGINX at the same work."""
    folder.mkdir()
    hosts = folder / "hosts.map"
    hosts.write_text("".join(f"tenant-{at}.{BASE} tenant-{at};\n" for at in range(tenants)))
    values = {"user": nginx_user(), "origin": origin, "clear": clear, "tls": tls, "certificate": certificate, "key": key}
    config = template("nginx.conf", folder / "nginx.conf", hosts=hosts, log=folder / "access.log", **values)
    process = start_nginx("NGINX", config, folder, PROXY_CORE, tls, started)
    return Side("NGINX", [process], clear, tls, [folder / "access.log"])


def start_gateway(folder, binary, certificate, key, origin, clear, tls, admins, tenants, started):
    """The gateway; two processes, since plaintext is proxied only where TLS is off. The idle one costs nothing to speak of."""
    folder.mkdir()
    processes, logs = [], []
    for mode, port, admin in (("off", clear, admins[0]), ("files", tls, admins[1])):
        place = folder / mode
        place.mkdir()
        values = {"origin": origin, "certificate": certificate, "key": key, "admin": admin, "mode": mode, "base": BASE}
        listeners = {"http": port if mode == "off" else admins[2], "https": admins[2] if mode == "off" else port}
        config = template("gatehouse.toml", place / "gatehouse.toml", folder=place, **values, **listeners)
        process = Process(f"gatehouse (TLS {mode})", [binary, "run", "-c", config], PROXY_CORE, place / "output.log")
        started.append(process)
        processes.append(process)
        logs.append(place / "access.log")
        process.wait_for(admin)
        process.wait_for(port)
        with ThreadPoolExecutor(16) as together:
            list(together.map(lambda at, admin=admin: make_tenant(admin, at), range(tenants)))
    return Side("gatehouse", processes, clear, tls, logs)


def make_tenant(admin, at):
    """One tenant over the admin API."""
    facts = json.dumps({"name": f"Tenant {at}", "slug": f"tenant-{at}", "plan": "bench"}).encode()
    request = urllib.request.Request(f"http://{LOOPBACK}:{admin}/admin/tenants", facts, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        if answer.status != 201:
            raise Trouble(f"a tenant cannot be created: {answer.status}")


def curl(side, load, path, host=HOST, http2=False):
    """Status, head and body of one answer."""
    scheme, port = ("https", side.tls) if load.tls else ("http", side.clear)
    command = ["curl", "--silent", "--show-error", "--insecure", "--include", "--max-time", "20"]
    command += ["--http2" if http2 else "--http1.1", "--resolve", f"{host}:{port}:{LOOPBACK}", f"{scheme}://{host}:{port}{path}"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise Trouble(f"{side.name} does not answer: {done.stderr.decode().strip()}")
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), content


def check_answers(side, load):
    """That the side does this work: the right octets, the tenant told to the app, and no answer for a host of nobody."""
    status, head, content = curl(side, load, load.path, http2=load.http2)
    if status != 200 or content != body(BODIES[load.path]):
        raise Trouble(f"{side.name} answers {load.path} wrong: {status}, {len(content)} octets")
    if load.http2 != head.startswith("HTTP/2"):
        raise Trouble(f"{side.name} does not speak the version asked for: {head.splitlines()[0]}")
    side.sizes[load.path] = len(head) + 4 + len(content)
    status, head, told = curl(side, load, "/told", http2=load.http2)
    told = told.decode().strip().split("|")
    if status != 200 or told[:2] != [f"{HOST}:{side.port(load)}", SLUG] or not all(told):
        raise Trouble(f"{side.name} does not tell the app what it should: {status}, {told}")
    if "x-request-id: " not in head.lower():
        raise Trouble(f"{side.name} gives the client no request id")
    status = curl(side, load, load.path, host=f"nobody.{BASE}", http2=load.http2)[0]
    if status != 404:
        raise Trouble(f"{side.name} answers a host of nobody with {status}")


def check_handshakes(sides):
    """Both must shake hands alike, or the figures compare ciphers; and both must resume."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    agreed = {}
    for side in sides:
        agreed[side.name], session, _ = handshake(context, side, None)
        if not handshake(context, side, session)[2]:
            raise Trouble(f"{side.name} resumes no session")
    if len(set(agreed.values())) != 1:
        raise Trouble(f"the sides agree on different ciphers: {agreed}")
    return next(iter(agreed.values()))


def handshake(context, side, session):
    """Cipher and session of a connection with one request (tickets come with its answer), and whether it was resumed."""
    with socket.create_connection((LOOPBACK, side.tls), 10) as tcp, context.wrap_socket(tcp, server_hostname=HOST, session=session) as tls:
        tls.sendall(f"GET /100 HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        while tls.recv(4096):
            pass
        return tls.cipher(), tls.session, tls.session_reused


def metered(admins):
    """Calls that the gateway counted for the tenant this month."""
    return sum(usage(admin)["apiCalls"] for admin in admins[:2])


def usage(admin):
    """The tenant's usage as the admin API tells it."""
    with urllib.request.urlopen(f"http://{LOOPBACK}:{admin}/admin/tenants/{SLUG}/usage", timeout=20) as answer:
        return json.load(answer)
