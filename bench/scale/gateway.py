"""The gateway that is measured: started, asked and ended; and the load on it."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "load"))

from machine import Process, Trouble  # noqa: E402
from sides import BASE, LOOPBACK  # noqa: E402

# Callers of the admin API at the same time: commits that wait together are written together.
CALLERS = 64
# What is not of a request and not of folding either.
NOT_FOLDING = ("worker-", "access-log")


class Gateway:
    """One gateway at a time, over the store and the journal of a folder."""

    def __init__(self, binary, cores, ports, started):
        self.binary, self.cores, self.started = binary, cores, started
        self.http, self.admin, self.origin = ports
        self.process = None

    def start(self, folder):
        """Seconds from the start of the program until it says that it is ready."""
        folder.mkdir(exist_ok=True)
        text = (HERE / "gatehouse.toml").read_text()
        values = {"http": self.http, "admin": self.admin, "origin": self.origin, "base": BASE, "folder": folder}
        for key, value in values.items():
            text = text.replace(f"@{key.upper()}@", str(value))
        config = folder / "gatehouse.toml"
        config.write_text(text)
        before = time.monotonic()
        self.process = Process("gatehouse", [self.binary, "run", "-c", config], self.cores, folder / "output.log")
        self.started.append(self.process)
        while not self.ready():
            self.process.check()
            if time.monotonic() - before > 120:
                raise Trouble("the gateway is not ready within 120 s")
            time.sleep(0.005)
        return time.monotonic() - before

    def ready(self):
        """Whether it says so."""
        try:
            return self.ask("/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def stop(self, number=signal.SIGTERM):
        """Ends it, cleanly or not."""
        self.process.child.send_signal(number)
        try:
            code = self.process.child.wait(60)
        except subprocess.TimeoutExpired as error:
            raise Trouble("the gateway does not end") from error
        if number == signal.SIGTERM and code != 0:
            raise Trouble(f"the gateway ended with {code}: {self.process.tail()}")
        self.started.remove(self.process)

    def ask(self, path):
        """Status and body of an answer of the admin listener."""
        connection = http.client.HTTPConnection(LOOPBACK, self.admin, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def page(self, **query):
        """Seconds that a page of tenants took, and the page."""
        before = time.monotonic()
        status, body = self.ask("/admin/tenants?" + urllib.parse.urlencode(query))
        took = time.monotonic() - before
        if status != 200:
            raise Trouble(f"a page of tenants cannot be read: {status}")
        return took, json.loads(body)

    def resident(self):
        """Bytes in memory (`VmRSS`)."""
        self.process.check()
        text = Path(f"/proc/{self.process.child.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB$", text, re.M)[1]) * 1024

    def control_cpu(self):
        """Nanoseconds of CPU of all but the request path: those of the process, with threads that have ended, less its own."""
        pid = self.process.child.pid
        of_requests = 0
        for task in Path(f"/proc/{pid}/task").iterdir():
            if (task / "comm").read_text().startswith(NOT_FOLDING):
                of_requests += int((task / "schedstat").read_text().split()[0])
        return self.process.cpu()[pid] - of_requests

    def folds(self):
        """How many folds there were, what they took in seconds, and how many took at most so many seconds."""
        text = self.ask("/metrics")[1].decode()
        name = "gatehouse_fold_duration_seconds"
        count, took = (float(re.search(rf"^{name}_{part} (\S+)$", text, re.M)[1]) for part in ("count", "sum"))
        buckets = {float(at): int(float(many)) for at, many in re.findall(rf'^{name}_bucket{{le="([^"]+)"}} (\S+)$', text, re.M)}
        return int(count), took, buckets

    def make_tenants(self, many):
        """Seconds that it took over the admin API."""
        numbers, turn, troubles = iter(range(many)), threading.Lock(), []

        def work():
            connection = http.client.HTTPConnection(LOOPBACK, self.admin, timeout=60)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while not troubles:
                with turn:
                    at = next(numbers, None)
                if at is None:
                    return
                facts = json.dumps({"name": f"Tenant {at}", "slug": f"tenant-{at}", "plan": "bench"})
                connection.request("POST", "/admin/tenants", facts, {"content-type": "application/json"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 201:
                    troubles.append(f"a tenant cannot be created: {answer.status} {body[:200]}")

        def guarded():
            try:
                work()
            except (OSError, http.client.HTTPException) as error:
                troubles.append(str(error))

        before = time.monotonic()
        callers = [threading.Thread(target=guarded, daemon=True) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        if troubles:
            raise Trouble(troubles[0])
        return time.monotonic() - before

    def load(self, tenants, seconds, connections=100, pause=5):
        """Good answers to requests that went to so many tenants in turn."""
        command = ["wrk", "--threads", "2", "--connections", str(connections), "--duration", str(seconds), "--timeout", "10"]
        command += ["--script", HERE / "wrk.lua", f"http://any.{BASE}:{self.http}/", "--", str(tenants), "2", str(pause)]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=seconds + 60)
        found = re.search(r"^FIGURES (.*)$", done.stdout, re.M)
        if done.returncode != 0 or not found:
            raise Trouble(f"wrk failed: {(done.stderr or done.stdout).strip()[-500:]}")
        figures = json.loads(found[1])
        answers = figures.pop("requests")
        if any(figures.values()):
            raise Trouble(f"not all answers were good: {figures}")
        return answers
