"""The recorded figures: read, compared with those found, and written anew.

A run is worse where a total or a stage takes more than its tolerance, or where a recorded stage is not found any more: a guard
that looks away is none."""

import json
import platform
import re
import subprocess
from pathlib import Path

import stages

FILE = Path(__file__).resolve().parent / "expected.json"
# They stand in the file, and are taken from there; these are for a file that has none.
TOLERANCES = {
    "total_percent": 5,
    "stage_percent": 15,
    "stage_instructions": 150,
    "allocations": 0.6,
    "reason": (
        "Totals of HTTP/1.1 repeat within 0.5 %, and rise by 1 % where the run gets a fraction of a core only, by what a worker does "
        "each second. Those of HTTP/2 move by 2.5 % either way, by how many frames one wake-up serves: less on a machine at rest. "
        "Stages repeat within 1 %, over HTTP/2 within 5 %, but for its TLS records, which are told and not compared: each holds "
        "the frames that are ready, and one binary took 2,180 to 2,580 instructions a request for them. Compilers move single "
        "functions by some percent when code nearby changes, and small stages by more, hence the instructions that a stage may "
        "gain in any case. Allocations are exact, but for those of TLS records, which hold as many frames as there are."
    ),
}


def made_with(binary):
    """What figures depend on beside the code."""
    compiler = re.search(rb"rustc version ([0-9.]+)", Path(binary).read_bytes())
    valgrind = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    # The C library and TLS choose their code by what the processor can.
    vectors = "AVX2" if " avx2 " in Path("/proc/cpuinfo").read_text() else "no AVX2"
    return {"rustc": compiler[1].decode() if compiler else "unknown", "valgrind": valgrind, "processor": f"{platform.machine()}, {vectors}"}


def record(figures, circumstances):
    """Writes the file; its tolerances stay."""
    tolerances = json.loads(FILE.read_text())["tolerances"] if FILE.exists() else TOLERANCES
    whole = {"about": "Instructions a request, by `bench/instructions/run --record`.", "made_with": circumstances}
    FILE.write_text(json.dumps(whole | {"tolerances": tolerances, "figures": figures}, indent=2) + "\n")


def check(figures, circumstances):
    """What is worse, and what else is to be said, as two lists of sentences."""
    expected = json.loads(FILE.read_text())
    worse, told = [], []
    if architecture(expected["made_with"]) != architecture(circumstances):
        return [], [f"nothing is compared: the figures are recorded for {architecture(expected['made_with'])} only"]
    for way, found in figures.items():
        recorded = expected["figures"].get(way)
        if recorded is None:
            worse.append(f"{way}: no figures are recorded; do so with --record")
        else:
            compare(way, recorded, found, expected["tolerances"], worse, told)
    other = [f"{what} {was}, here {circumstances[what]}" for what, was in expected["made_with"].items() if circumstances[what] != was]
    if other and (worse or told):
        told.append(f"the recorded figures were made with {'; '.join(other)}: that may be the reason")
    return worse, told


def architecture(circumstances):
    """The kind of processor: others have other instructions."""
    return circumstances["processor"].split(",")[0]


def compare(way, recorded, found, tolerances, worse, told):
    """One way in which requests come."""
    was, now, allowed = recorded["total"], found["total"], tolerances["total_percent"]
    if now > was * (1 + allowed / 100):
        worse.append(f"{way}: {now:,} instructions a request, {percent(was, now)} more than the recorded {was:,} (allowed: {allowed} %)")
    elif now < was * (1 - allowed / 100):
        told.append(f"{way}: {now:,} instructions a request, {percent(was, now)} fewer than the recorded {was:,}; use --record")
    was, now = recorded["allocations"], found["allocations"]
    if now is None or was is None:
        worse.extend([f"{way}: no allocation was found, but {was} were recorded: their functions have other names"] if was else [])
    elif now > was + tolerances["allocations"]:
        worse.append(f"{way}: {now} allocations a request, {was} are recorded")
    for name, was in recorded["stages"].items():
        now = found["stages"].get(name)
        if was is None or name not in stages.compared(way):
            continue
        if now is None:
            told.append(f"{way}, {name}: not found, so not guarded here; give stages.py other functions of it, or record without it")
        elif now > was * (1 + tolerances["stage_percent"] / 100) and now > was + tolerances["stage_instructions"]:
            allowed = f"allowed: {tolerances['stage_percent']} % and {tolerances['stage_instructions']}"
            worse.append(f"{way}, {name}: {now:,} instructions, {percent(was, now)} more than the recorded {was:,} ({allowed})")


def percent(was, now):
    """By how much they differ."""
    return f"{abs(now - was) / max(was, 1) * 100:.1f} %"
