"""What a run needs of the machine: commands, free ports, and processes that are pinned, watched and ended by their id."""

import glob
import os
import re
import resource
import shutil
import subprocess
import time
from pathlib import Path

# The command that shows that a Debian package is there, and the package.
PACKAGES = {
    "nginx": "nginx-core",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
    "curl": "curl",
    "openssl": "openssl",
    "taskset": "util-linux",
}
# The core of what is measured, and the core of what is not.
PROXY_CORE = 0
LOAD_CORE = 1
CPUCLOCK_SCHED = 2


class Trouble(Exception):
    """Why there is no run, or no figure."""


def install_missing(say, also=None, always=None):
    """Installs what is missing where that is allowed; elsewhere says what is. `also`: further packages, by their command (or a
    file); `always`: instead of those that every load needs."""
    # Debian keeps servers where only root's path leads.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    wanted = (PACKAGES if always is None else always) | (also or {})
    missing = sorted({package for command, package in wanted.items() if not (shutil.which(command) or glob.glob(command))})
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Trouble(f"missing: {' '.join(missing)}. As root: apt-get install --no-install-recommends {' '.join(missing)}")
    say(f"installing {' '.join(missing)}")
    subprocess.run(["apt-get", "-qq", "update"], check=True, stdout=subprocess.DEVNULL)
    # A policy of 101 keeps a package from starting its service, whose listener would be in the way.
    policy = Path("/usr/sbin/policy-rc.d")
    made = not policy.exists()
    if made:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        install = ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", *missing]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
    finally:
        if made:
            policy.unlink()


def check_cores():
    """Both cores must be there: figures of processes that share one say nothing."""
    if not {PROXY_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise Trouble(f"cores {PROXY_CORE} and {LOAD_CORE} are needed, and this process may not use both")


def raise_limits():
    """As many open files as are allowed, for this process and all that it starts; how many those are."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def listening():
    """Ports of TCP listeners, whoever owns them. (A probe by bind would miss those that share their port.)"""
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(table):
            rows = (line.split() for line in Path(table).read_text().splitlines()[1:])
            ports |= {int(row[1].rsplit(":", 1)[1], 16) for row in rows if row[3] == "0A"}
    return ports


def check_free(ports):
    """A left-over server would share the port, take half of the requests and falsify everything."""
    taken = sorted(set(ports) & listening())
    if taken:
        raise Trouble(f"something listens on {', '.join(map(str, taken))} already; end it, or choose another --port")


def wait_until(what, condition, seconds=30):
    """Waits for a condition; asked often, since nothing is measured meanwhile."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise Trouble(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Stopped(Exception):
    """The run is to end, whatever it is at."""


class Process:
    """One server with its children, pinned to a core (or more: "0,1")."""

    def __init__(self, name, command, core, log, environment=None):
        self.name, self.log = name, Path(log)
        # Not what is said to the gateway or to the load's clients.
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GATEHOUSE_", "OPENSSL_CONF"))}
        with open(log, "ab") as out:
            # taskset becomes the command, so its id is the command's.
            pinned = ["taskset", "-c", str(core), *map(str, command)]
            self.child = subprocess.Popen(pinned, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=kept | (environment or {}))

    def pids(self):
        """The process and all below it."""
        found, waiting = [], [self.child.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                waiting += map(int, task.read_text().split())
        return sorted(found)

    def cpu(self):
        """Nanoseconds of CPU, user and system, by process id. The clock of a process is the sum that `schedstat` shows for
        its threads, and what threads had used that have ended."""
        self.check()
        return {pid: time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED) for pid in self.pids()}

    def memory(self):
        """Bytes that it and its children have to themselves, or their shares of what they have together (`Pss`), less what lies in
        files."""
        self.check()
        texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.pids()]
        return 1024 * sum(int(figure) for text in texts for figure in re.findall(r"^Pss_(?:Anon|Shmem):\s+(\d+) kB$", text, re.M))

    def check(self):
        """That it runs."""
        if self.child.poll() is not None:
            raise Trouble(f"{self.name} has ended with {self.child.returncode}: {self.tail()}")

    def tail(self):
        """The last that it said."""
        return self.log.read_text(errors="replace")[-2000:].strip() or "it said nothing"

    def wait_for(self, port):
        """Waits until it listens."""

        def listens():
            self.check()
            return port in listening()

        wait_until(f"{self.name} listens on {port}", listens)

    def stop(self):
        """Asks it to end, then makes it."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(15)
            except subprocess.TimeoutExpired:
                self.child.kill()
        self.child.wait()


def used(before, after):
    """Nanoseconds between two readings of [`Process.cpu`]; both must be of the same processes."""
    if before.keys() != after.keys():
        raise Trouble("a process ended or was started while it was measured")
    return sum(after.values()) - sum(before.values())
