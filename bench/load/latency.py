"""Latency where requests come at a rate of their own, whatever the proxy does (open loop): each counts from when it was due.

The rates are shares of what NGINX can do at most, by the same generator in the same run; all sides get the same."""

from statistics import median

import generators
from loads import Load
from machine import Trouble

SHARES = (0.5, 0.8)
LOAD = Load("latency at a fixed rate, clear HTTP/1.1, 100 B, 64 connections", False, "/100", 64, "drive")
PERCENTILES = ("p50", "p99", "p999")
# How often the yardstick's capacity is measured, before anything else; how far the best may be from the median; how often all that is
# done again on a machine that is too busy.
TIMES, FAR, ATTEMPTS = 3, 1.5, 3


def measure(place, compared, chosen, say):
    """By share of the capacity and side: what each round gave. And the capacity, in answers a second."""
    yardstick = compared[0]
    capacity = capacity_of(place, yardstick, chosen.seconds, say)
    found = {share: {side.name: [] for side in compared} for share in SHARES}
    for number in range(chosen.rounds):
        direction = 1 if number % 2 == 0 else -1
        for share in SHARES[::direction]:
            for side in compared[::direction]:
                figures = at_rate(place, side, chosen.seconds, share * capacity)
                if figures["overloaded"] and side is yardstick:
                    say(f"void: {side.name} did not keep up with {share:.0%} of what it can")
                    figures = at_rate(place, side, chosen.seconds, share * capacity)
                found[share][side.name].append(figures)
            told = "  ".join(f"{side.name} {words(found[share][side.name][-1], 'p99')}" for side in compared)
            say(f"round {number + 1}/{chosen.rounds}  p99 in ms at {share:.0%} of that: {told}")
    return {"capacity": capacity, "shares": found}


def capacity_of(place, side, seconds, say):
    """Answers a second at most, each connection asking as soon as it was answered: the best of some, if they agree."""
    for _ in range(ATTEMPTS):
        rates = []
        for _ in range(TIMES):
            side.forget_logs()
            figures = generators.driven(LOAD, side, seconds, place, seconds=seconds)
            rates.append(figures["answers"] / figures["seconds"])
        say(f"{side.name} answers {max(rates):,.0f} requests a second at most, {median(rates):,.0f} in the middle")
        if max(rates) < FAR * median(rates):
            return max(rates)
    raise Trouble("the machine is too busy to tell what the yardstick can do")


def at_rate(place, side, seconds, rate):
    """What the generator tells of a rate."""
    side.forget_logs()
    figures = generators.driven(LOAD, side, seconds, place, seconds=seconds, rate=round(rate))
    if not figures["overloaded"] and figures["answers"] < 0.9 * rate * seconds:
        raise Trouble(f"{side.name} was asked {figures['answers']} times in {seconds} s, not {rate:.0f} times a second")
    return figures


def words(figures, percentile):
    """Milliseconds, or that it cannot keep up."""
    return "more than it can" if figures["overloaded"] else f"{figures[percentile] / 1000:.2f}"


def answered(found, name):
    """How many answers a side gave at the rates."""
    return sum(figures["answers"] for by_side in found["shares"].values() for figures in by_side[name])


def table(found):
    """Medians of the rounds."""
    sides = list(found["shares"][SHARES[0]])
    yield f"| latency, ms: p50 · p99 · p99.9 | {' | '.join(sides)} |"
    yield "| --- |" + " --- |" * len(sides)
    for share, by_side in found["shares"].items():
        rate = f"{share * 100:.0f} % of NGINX's capacity: {share * found['capacity']:,.0f} a second"
        yield f"| {rate} | {' | '.join(cell(by_side[side]) for side in sides)} |"
        yield f"| the same, p99 as a ratio to NGINX | {' | '.join(ratio(by_side, side) for side in sides)} |"


def cell(rounds):
    """The three of a side."""
    if overloaded(rounds):
        return "more than it can"
    return " · ".join(f"{median(figures[percentile] for figures in rounds) / 1000:.2f}" for percentile in PERCENTILES)


def ratio(by_side, side):
    """p99 of a side in the rounds, each with NGINX's of its round."""
    yardstick = next(iter(by_side))
    if overloaded(by_side[side]) or overloaded(by_side[yardstick]):
        return "–"
    ratios = sorted(a["p99"] / b["p99"] for a, b in zip(by_side[side], by_side[yardstick]))
    return f"{median(ratios):.2f} ({ratios[0]:.2f} – {ratios[-1]:.2f})"


def overloaded(rounds):
    """Whether most rounds were more than it can."""
    return sum(figures["overloaded"] for figures in rounds) * 2 > len(rounds)
