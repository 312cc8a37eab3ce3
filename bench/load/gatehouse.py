"""The gateway as a side: its store with all tenants made once and copied, its processes, and what it metered."""

import http.client
import json
import shutil
import threading
import urllib.request

from machine import LOAD_CORE, PROXY_CORE, Trouble
from sides import BASE, LOOPBACK, Side, template

# Callers of the admin API at the same time: commits that wait together are written together.
CALLERS = 64


def start(place):
    """The gateway; two processes, since plaintext is proxied only where TLS is off. The idle one costs nothing to speak of."""
    seed = seeded(place, place.tenants)
    ports = {"off": [next(place.ports) for _ in range(3)], "files": [next(place.ports) for _ in range(3)]}
    processes = [start_one(place, place.folder / f"gatehouse-{mode}", mode, ports[mode], seed) for mode in ports]
    logs = [place.folder / f"gatehouse-{mode}" / "access.log" for mode in ports]
    side = Side("gatehouse", processes, ports["off"][0], ports["files"][0], logs)
    side.admins = [ports[mode][1] for mode in ports]
    return side


def start_one(place, folder, mode, ports, seed=None, cores=None):
    """One process, over a copy of a store that has its tenants already."""
    port, admin, other = ports
    if seed:
        shutil.copytree(seed, folder, ignore=shutil.ignore_patterns("*.log", "*.toml"))
    else:
        folder.mkdir()
    listeners = {"http": port if mode == "off" else other, "https": other if mode == "off" else port}
    values = {"certificate": place.certificate, "key": place.key, "origin": place.origin, "workers": place.workers, "base": BASE}
    values |= {"folder": folder, "mode": mode, "admin": admin}
    config = template("peers/gatehouse.toml", folder / "gatehouse.toml", **values, **listeners)
    command = [place.binary, "run", "-c", config]
    process = place.start(f"gatehouse (TLS {mode})", command, cores or place.proxy_cores, folder / "output.log")
    process.wait_for(admin)
    process.wait_for(port)
    return process


def seeded(place, tenants):
    """A folder with the store and the journal of a gateway that was given so many tenants and has ended; made once."""
    folder = place.root / f"seed-{tenants}"
    if not folder.exists():
        ports = [next(place.ports) for _ in range(3)]
        process = start_one(place, folder, "off", ports, cores=f"{PROXY_CORE},{LOAD_CORE}")
        make_tenants(ports[1], tenants)
        place.started.remove(process)
        process.stop()
        if process.child.returncode != 0:
            raise Trouble(f"the gateway ended with {process.child.returncode}: {process.tail()}")
    return folder


def make_tenants(admin, many):
    """Makes the tenants over the admin API."""
    numbers, turn, troubles = iter(range(many)), threading.Lock(), []

    def work():
        connection = http.client.HTTPConnection(LOOPBACK, admin, timeout=60)
        while not troubles:
            with turn:
                at = next(numbers, None)
            if at is None:
                break
            facts = json.dumps({"name": f"Tenant {at}", "slug": f"tenant-{at}", "plan": "bench"})
            try:
                connection.request("POST", "/admin/tenants", facts, {"content-type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                troubles.append(str(error))
                break
            if answer.status != 201:
                troubles.append(f"a tenant cannot be created: {answer.status} {text[:200]}")
        connection.close()

    callers = [threading.Thread(target=work, daemon=True) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    if troubles:
        raise Trouble(troubles[0])


def metered(side):
    """Calls that the gateway counted, for all tenants; all that it let in must be accounted for."""
    total = 0
    for admin in side.admins:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{admin}/admin/usage/verify", timeout=60) as answer:
            balance = json.load(answer)
        if balance["unexplained"] != 0:
            raise Trouble(f"the gateway cannot account for {balance['unexplained']} calls")
        total += balance["metered"]
    return total
