"""The programs of `tools/`: built once, with a target folder of their own."""

import subprocess
import sys

from sides import HERE

ROOT = HERE.parent.parent
TARGET = ROOT / "target" / "tools"


def build(peers, say):
    """Builds what a run needs, and tells where it is. Pingora takes some minutes, so only who wants it builds it."""
    wanted = ["helpers", *(["pingora-peer"] if "pingora" in peers else [])]
    if not (TARGET / "release" / ("pingora-peer" if "pingora" in peers else "drive")).exists():
        say(f"building {' and '.join(wanted)}, once")
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--target-dir", TARGET]
    for package in wanted:
        command += ["--package", package]
    subprocess.run(command, cwd=HERE / "tools", check=True, stdout=sys.stderr)
    return TARGET / "release"


def build_gateway(say):
    """The release build, as it is shipped."""
    say("building the gateway")
    # Its own target folder, whatever the environment says, so that what is run is what was built.
    target = ROOT / "target"
    command = ["cargo", "build", "--release", "--locked", "--bin", "gatehouse", "--target-dir", target]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    return target / "release" / "gatehouse"
