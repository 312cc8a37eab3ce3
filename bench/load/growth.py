"""The gateway alone: whether a request costs the same among very many tenants as among few, and whether memory grows with requests."""

import time
from pathlib import Path
from statistics import median

import gatehouse
import generators
import sides
from loads import Load
from machine import Trouble
from sides import Side

FLAT = "flat in the number of tenants"
HEAP = "growth of the heap over a million requests"
FEW = 10
MANY, FEWER = 100_000, 10_000
# Requests before memory is read first, and between the readings.
WARMING, REQUESTS = 200_000, 1_000_000


def flat(place, chosen, say):
    """CPU for each answer where there are few tenants and where there are very many, of whom the same few are called or all in
    turn: of all threads, and of the workers alone."""
    many = FEWER if chosen.quick else MANY
    sides.start_app(place)
    compared = {tenants: start(place, tenants) for tenants in (FEW, many)}
    for tenants, side in compared.items():
        # So that each tenant has been called before.
        generators.driven(load_of(tenants), side, 60, place, answers=2 * many)
        say(f"{tenants:,} tenants are warm")
    # How many there are, and how many of them are called.
    settings = [(FEW, FEW), (many, FEW), (many, many)]
    figures = {setting: {"all": [], "workers": []} for setting in settings}
    for number in range(chosen.rounds):
        for there, called in settings[:: 1 if number % 2 == 0 else -1]:
            everything, workers = attempt(place, compared[there], load_of(called), chosen.seconds)
            figures[there, called]["all"].append(everything)
            figures[there, called]["workers"].append(workers)
            told = f"{everything:.1f} µs, of which workers {workers:.1f} µs"
            say(f"round {number + 1}/{chosen.rounds}  {there:,} tenants, {called:,} of them called: {told}")
    place.stop()
    return [{"tenants": there, "called": called, "micros": micros} for (there, called), micros in figures.items()]


def start(place, tenants):
    """A gateway with so many tenants, in clear."""
    ports = [next(place.ports) for _ in range(3)]
    folder = place.folder / f"gatehouse-{tenants}"
    process = gatehouse.start_one(place, folder, "off", ports, gatehouse.seeded(place, tenants))
    return Side(f"gatehouse with {tenants:,} tenants", [process], ports[0], None, [folder / "access.log"])


def load_of(tenants):
    """All of them in turn."""
    return Load(f"{tenants:,} tenants", False, "/100", 64, "drive", tenants=tenants)


def attempt(place, side, load, seconds):
    """Microseconds for each answer: of all threads, and of those that serve requests."""
    side.forget_logs()
    pid = side.processes[0].child.pid
    before, workers_before = sum(side.cpu().values()), of_workers(pid)
    good = load.run(side, seconds, place)
    time.sleep(0.2)
    return (sum(side.cpu().values()) - before) / good / 1000, (of_workers(pid) - workers_before) / good / 1000


def of_workers(pid):
    """Nanoseconds of the threads that serve requests."""
    tasks = (task for task in Path(f"/proc/{pid}/task").iterdir() if (task / "comm").read_text().startswith("worker-"))
    found = [int((task / "schedstat").read_text().split()[0]) for task in tasks]
    if not found:
        raise Trouble("the gateway has no threads that are called workers")
    return sum(found)


def heap(place, chosen, say):
    """Bytes that memory has grown by."""
    warming, requests = (WARMING // 10, REQUESTS // 10) if chosen.quick else (WARMING, REQUESTS)
    sides.start_app(place)
    side = start(place, FEW)
    generators.driven(load_of(FEW), side, 600, place, answers=warming)
    time.sleep(2)
    before = side.memory()
    generators.driven(load_of(FEW), side, 600, place, answers=requests)
    time.sleep(2)
    grown = side.memory() - before
    say(f"{requests:,} requests: memory from {before / 2**20:.2f} MiB by {grown / 1024:.0f} KiB")
    place.stop()
    return {"warming": warming, "requests": requests, "before": before, "grown": grown}


def tables(flat_found, heap_found):
    """What of both there is."""
    if flat_found:
        few = flat_found[0]["micros"]
        yield "| tenants, and how many of them are called in turn | CPU of the gateway for each answer, µs | ratio | of the threads that serve | ratio |"
        yield "| --- | --- | --- | --- | --- |"
        for setting in flat_found:
            cells = [f"{setting['tenants']:,}, {setting['called']:,} called"]
            for what in ("all", "workers"):
                ratios = sorted(y / x for x, y in zip(few[what], setting["micros"][what]))
                cells.append(f"{median(setting['micros'][what]):.1f}")
                cells.append(f"**{median(ratios):.2f}** ({ratios[0]:.2f} – {ratios[-1]:.2f})")
            yield f"| {' | '.join(cells)} |"
        yield ""
    if heap_found:
        requests = heap_found["requests"]
        yield (
            f"Memory of the gateway after {heap_found['warming']:,} requests: {heap_found['before'] / 2**20:.2f} MiB; after {requests:,} "
            f"more: {heap_found['grown'] / 1024:+.0f} KiB, which is {heap_found['grown'] / requests:.2f} octets a request."
        )
        yield ""
