"""What was found, as tables in Markdown."""

from statistics import median

import growth
import idle
import latency

YARDSTICK = "NGINX"


def everything(found):
    """All tables."""
    lines = []
    if found["cpu"]:
        lines += [*ratio_table(found["cpu"]), "", *micros_table(found["cpu"]), "", *whole_table(found["cpu"])]
    if found["latency"]:
        lines += [*latency.table(found["latency"]), ""]
    if found["idle"]:
        lines += [*idle.table(found["idle"]), ""]
    return lines + list(growth.tables(found["flat"], found["heap"]))


def names(found):
    """All sides, in the order in which they were started."""
    return list(dict.fromkeys(side for by_side in found.values() for side in by_side))


def header(first, sides):
    """The two lines above a table."""
    return [f"| {first} | {' | '.join(sides)} |", "| --- |" + " --- |" * len(sides)]


def ratios(by_side, side, what="micros"):
    """One for each round."""
    return sorted(getattr(a, what) / getattr(b, what) for a, b in zip(by_side[side], by_side[YARDSTICK]))


def ratio_table(found):
    """CPU for each answer as a ratio to NGINX: medians, and the lowest and highest of the rounds."""
    sides = names(found)
    lines = header("CPU for each answer, ratio to NGINX", [f"{YARDSTICK}, µs", *(side for side in sides if side != YARDSTICK)])
    for load, by_side in found.items():
        cells = [f"{median(figure.micros for figure in by_side[YARDSTICK]):.1f}"]
        for side in sides:
            if side == YARDSTICK:
                continue
            cells.append(cell(ratios(by_side, side)) if side in by_side else "–")
        lines.append(f"| {load} | {' | '.join(cells)} |")
    return lines


def cell(of_rounds):
    """A median and its spread."""
    return f"**{median(of_rounds):.2f}** ({of_rounds[0]:.2f} – {of_rounds[-1]:.2f})"


def micros_table(found):
    """The same in microseconds."""
    sides = names(found)
    lines = header("CPU for each answer, µs (median)", sides)
    for load, by_side in found.items():
        cells = [f"{median(figure.micros for figure in by_side[side]):.1f}" if side in by_side else "–" for side in sides]
        lines.append(f"| {load} | {' | '.join(cells)} |")
    return lines


def whole_table(found):
    """Proxy, client and app together, where bodies are large: what one saves another may pay."""
    large = {load: by_side for load, by_side in found.items() if "1 MiB" in load}
    if not large:
        return []
    sides = names(large)
    others = [side for side in sides if side != YARDSTICK]
    lines = header("CPU of proxy, client and app together, ratio to NGINX", [f"{YARDSTICK}, µs", *others])
    for load, by_side in large.items():
        cells = [f"{median(figure.whole for figure in by_side[YARDSTICK]):.0f}"]
        cells += [cell(ratios(by_side, side, "whole")) if side in by_side else "–" for side in others]
        lines.append(f"| {load} | {' | '.join(cells)} |")
    return [*lines, ""]
