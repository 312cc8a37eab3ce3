"""The peers: how each is configured and started. What their configurations do and do not do is told in bench/README.md."""

import json
import re
import subprocess

from sides import BASE, HERE, LOOPBACK, Side, nginx_command, nginx_user, template


def start(place, names):
    """Starts those peers; they share nothing but the app."""
    return [PEERS[name](place) for name in names]


def fill(place, name, template_name, **more):
    """A folder of its own, with the configuration filled in: folder, configuration, the two ports, and the log."""
    folder = place.folder / name
    folder.mkdir()
    clear, tls, log = next(place.ports), next(place.ports), folder / "access.log"
    values = {"clear": clear, "tls": tls, "log": log, "origin": place.origin, "base": BASE, "workers": place.workers}
    values |= {"certificate": place.certificate, "key": place.key}
    config = template(f"peers/{template_name}", folder / template_name, **values, **more)
    return folder, config, clear, tls, log


def hosts_file(place, end=""):
    """A line for each tenant: host and tenant."""
    path = place.folder / f"hosts{len(end)}.map"
    path.write_text("".join(f"tenant-{at}.{BASE} tenant-{at}{end}\n" for at in range(place.tenants)))
    return path


def nginx(place):
    """NGINX, the yardstick."""
    folder, config, clear, tls, log = fill(place, "nginx", "nginx.conf", user=nginx_user(), hosts=hosts_file(place, ";"))
    process = place.start("NGINX", nginx_command(folder, config), place.proxy_cores, folder / "output.log")
    process.wait_for(tls)
    return Side("NGINX", [process], clear, tls, [log])


def haproxy(place):
    """HAProxy, and the receiver of its log, which is not part of it."""
    sink = next(place.ports)
    both = place.folder / "bench.both"
    both.write_bytes(place.certificate.read_bytes() + place.key.read_bytes())
    folder, config, clear, tls, log = fill(place, "haproxy", "haproxy.cfg", hosts=hosts_file(place), both=both, sink=sink)
    receiver = [place.tools / "sink", f"listen={LOOPBACK}:{sink}", f"file={log}"]
    place.start("HAProxy's log", receiver, place.load_cores, folder / "sink.log").wait_for(sink)
    process = place.start("HAProxy", ["haproxy", "-db", "-f", config], place.proxy_cores, folder / "output.log")
    process.wait_for(tls)
    return Side("HAProxy", [process], clear, tls, [log])


def h2o(place):
    """H2O, which knows no tenants here."""
    folder, config, clear, tls, log = fill(place, "h2o", "h2o.conf")
    process = place.start("H2O", ["h2o", "-m", "worker", "-c", config], place.proxy_cores, folder / "output.log")
    process.wait_for(tls)
    return Side("H2O", [process], clear, tls, [log], lacks=["tenants", "request id"])


def caddy(place):
    """Caddy; its Go runtime has as many threads at work as there are workers."""
    hosts = json.dumps([f"tenant-{at}.{BASE}" for at in range(place.tenants)])
    folder, config, clear, tls, log = fill(place, "caddy", "caddy.json", hosts=hosts)
    environment = {"GOMAXPROCS": str(place.workers), "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    process = place.start("Caddy", ["caddy", "run", "--config", config], place.proxy_cores, folder / "output.log", environment)
    process.wait_for(tls)
    return Side("Caddy", [process], clear, tls, [log])


def pingora(place):
    """Pingora, as a proxy of our own (tools/pingora)."""
    folder, config, clear, tls, log = fill(place, "pingora", "pingora.conf", hosts=hosts_file(place))
    process = place.start("Pingora", [place.tools / "pingora-peer", config], place.proxy_cores, folder / "output.log")
    process.wait_for(tls)
    return Side("Pingora", [process], clear, tls, [log])


def splice(place):
    """The floor: octets to and fro, unread."""
    folder, clear = place.folder / "splice", next(place.ports)
    folder.mkdir()
    command = [place.tools / "splice", f"listen={LOOPBACK}:{clear}", f"app={LOOPBACK}:{place.origin}", f"threads={place.workers}"]
    process = place.start("TCP splice", command, place.proxy_cores, folder / "output.log")
    process.wait_for(clear)
    return Side("TCP splice", [process], clear, None, [], lacks=["tls", "tenants", "request id", "refusals"])


PEERS = {"nginx": nginx, "haproxy": haproxy, "h2o": h2o, "caddy": caddy, "pingora": pingora, "splice": splice}
LABELS = {"nginx": "NGINX", "haproxy": "HAProxy", "h2o": "H2O", "caddy": "Caddy"}
# The Debian packages of those that are packages: by their command (or a file), so that what is there is left alone.
PACKAGES = {
    "haproxy": {"haproxy": "haproxy"},
    "h2o": {"h2o": "h2o"},
    "caddy": {"caddy": "caddy"},
    # Pingora is built; its TLS is BoringSSL, which needs these.
    "pingora": {
        "cmake": "cmake",
        "g++": "g++",
        "/usr/lib/llvm-*/lib/libclang*.so*": "libclang1-14",
        "/usr/lib/llvm-*/lib/clang/*/include/stddef.h": "libclang-common-14-dev",
    },
}


def packages(names):
    """What those peers need, by command or file."""
    return {command: package for name in names for command, package in PACKAGES.get(name, {}).items()}


def versions(names):
    """What is compared, for the record."""
    told = {"nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"], "h2o": ["h2o", "--version"], "caddy": ["caddy", "version"]}
    found = []
    for name in names:
        if name in told:
            done = subprocess.run(told[name], capture_output=True, text=True, check=False)
            number = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
            found.append(f"{LABELS[name]} {number[0] if number else '?'}")
        elif name == "pingora":
            lock = (HERE / "tools" / "Cargo.lock").read_text()
            number = re.search(r'name = "pingora-proxy"\nversion = "([0-9.]+)"', lock)
            found.append(f"Pingora {number[1]}")
    return ", ".join(found)
