"""The figures as a table in Markdown."""

import stages


def rows(figures):
    """A line for each stage, a column for each way."""
    yield f"| instructions a request | {' | '.join(figures)} |"
    yield "| --- |" + " ---: |" * len(figures)
    yield line("**all of the worker's thread**", [f"**{found['total']:,}**" for found in figures.values()])
    for stage in stages.STAGES:
        name = f"– of it: {stage.name}" if stage.within else stage.name
        yield line(name, [cell(found["stages"].get(stage.name), way in stage.ways) for way, found in figures.items()])
    yield line(stages.REST, [cell(found["stages"][stages.REST]) for found in figures.values()])
    yield line("allocations", [cell(found["allocations"]) for found in figures.values()])
    if any(cost is None for found in figures.values() for cost in found["stages"].values()):
        yield ""
        yield "Not found: this build has no such function of its own; what it does is in the line above, or in the rest."


def cell(figure, asked=True):
    """A figure, or why there is none."""
    if not asked:
        return "–"
    return "not found" if figure is None else f"{figure:,}"


def line(name, cells):
    """One."""
    return f"| {name} | {' | '.join(cells)} |"
