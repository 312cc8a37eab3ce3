"""CPU time for each good answer: measured side by side, in rounds."""

import resource
import time
from dataclasses import asdict, dataclass

import checks
import gatehouse
import latency
import proxies
import sides
from machine import Trouble, used

# Less is no request that was served, but a figure of something else.
LEAST_MICROSECONDS = 1.0
# Fewer answers say nothing.
LEAST_ANSWERS = 100
LEAST_SECONDS_IF_LARGE = 2
# A measurement that went wrong is made once more; twice wrong is a finding.
ATTEMPTS = 2


@dataclass
class Figure:
    """One measurement: microseconds of CPU for each answer, of the proxy and of proxy, app and client together."""

    micros: float
    whole: float
    answers: int


def phase(place, chosen, wanted, say, with_latency=False):
    """Starts all sides, checks them, and measures: by name what was found, and what of TLS was agreed on and what was metered."""
    sides.start_app(place)
    app = list(place.started)
    compared = proxies.start(place, chosen.peers)
    ours = gatehouse.start(place)
    compared.insert(1, ours)
    cipher = checks.check(place, compared, [*wanted, latency.LOAD] if with_latency else wanted)
    say(f"{place.workers} worker(s) each: all sides answer right ({cipher[1]}, {cipher[0]})")
    before = gatehouse.metered(ours)
    found = rounds(place, app, compared, wanted, chosen, say)
    good = sum(calls(load, figure) for load in wanted for figure in found[load.name][ours.name])
    latencies = latency.measure(place, compared, chosen, say) if with_latency else None
    if latencies:
        good += latency.answered(latencies, ours.name)
    metered = gatehouse.metered(ours) - before
    if metered < good:
        raise Trouble(f"the gateway answered {good} calls and metered {metered}")
    place.stop()
    return {"cpu": found, "latency": latencies, "cipher": cipher, "metered": metered, "good": good}


def calls(load, figure):
    """Of the answers, those of calls: what is refused is not metered, nor are messages within one call."""
    if load.kind == "talk":
        return 0
    return figure.answers - (figure.answers // load.refused if load.refused else 0)


def rounds(place, app, compared, wanted, chosen, say):
    """Every load on all sides, again and again; each round goes the other way than the one before, so that what drifts meets all
    sides alike. By load and side: the figures."""
    found = {load.name: {side.name: [] for side in compared if load.fits(side)} for load in wanted}
    for number in range(chosen.rounds):
        direction = 1 if number % 2 == 0 else -1
        for load in wanted[::direction]:
            fit = [side for side in compared if load.fits(side)]
            for side in fit[::direction]:
                found[load.name][side.name].append(measure(place, app, side, load, chosen.seconds, say))
            told = "  ".join(f"{side.name} {found[load.name][side.name][-1].micros:.1f}" for side in fit)
            say(f"round {number + 1}/{chosen.rounds}  {load.name}: {told}")
    return found


def measure(place, app, side, load, seconds, say):
    """One figure."""
    trouble = None
    for _ in range(ATTEMPTS):
        side.forget_logs()
        try:
            return attempt(place, app, side, load, seconds)
        except Trouble as error:
            say(f"void: {error}")
            trouble = error
    raise trouble


def attempt(place, app, side, load, seconds):
    """One figure, unless something is not as it must be."""
    before, app_before, client_before = side.cpu(), cpu_of(app), children()
    # Answers that are large are few.
    good = load.run(side, max(seconds, LEAST_SECONDS_IF_LARGE) if load.path == "/1m" else seconds, place)
    # What is left to do for these answers, such as logging them, is theirs.
    time.sleep(0.2)
    proxy = used(before, side.cpu())
    others = used(app_before, cpu_of(app)) + children() - client_before
    if good < LEAST_ANSWERS:
        raise Trouble(f"{side.name} gave {good} answers to {load.name}")
    micros = proxy / good / 1000
    if micros < LEAST_MICROSECONDS:
        raise Trouble(f"{side.name} used {micros:.2f} µs for an answer, which is none of its own")
    return Figure(micros, (proxy + others) / good / 1000, good)


def cpu_of(processes):
    """CPU of all of them."""
    return {pid: nanoseconds for process in processes for pid, nanoseconds in process.cpu().items()}


def children():
    """Nanoseconds of CPU of the generators that have ended: nothing else ends here meanwhile."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((usage.ru_utime + usage.ru_stime) * 1e9)


def raw(found):
    """All figures, for JSON."""
    return {load: {side: [asdict(figure) for figure in figures] for side, figures in by_side.items()} for load, by_side in found.items()}
