"""What callgrind counted in one thread: read from its dump, and asked by patterns of function names.

The names are those of the symbol table, so a release build needs no debug info. Functions that were inlined have no symbol;
their instructions are those of the function that they are in."""

import re
from collections import Counter

# Callgrind numbers the levels of a recursion: `name'2`.
LEVEL = re.compile(r"'\d+$")


class Dump:
    """Calls and inclusive instructions by caller and callee, and instructions in all."""

    def __init__(self, total=0, calls=None, costs=None):
        self.total = total
        self.calls = Counter() if calls is None else calls
        self.costs = Counter() if costs is None else costs

    @classmethod
    def read(cls, path):
        """One file of callgrind's format 1, as `--separate-threads` makes them: one event (`Ir`), names abbreviated."""
        names, dump = {}, cls()
        caller = callee = calls = None

        def named(text):
            number, _, name = text.partition(" ")
            if name:
                names[number] = LEVEL.sub("", name)
            return names[number]

        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                kind, _, rest = line.rstrip().partition("=")
                if kind == "fn":
                    caller = named(rest)
                elif kind == "cfn":
                    callee = named(rest)
                elif kind == "calls":
                    calls = int(rest.split()[0])
                elif line[0] in "0123456789+-*":
                    cost = int(line.split()[1])
                    if calls is None:
                        dump.total += cost
                    else:
                        dump.calls[caller, callee] += calls
                        dump.costs[caller, callee] += cost
                        calls = None
        return dump

    def less(self, other, share):
        """What is in this and not in the other, divided by `share`."""

        def difference(ours, theirs):
            return {edge: (ours[edge] - theirs[edge]) / share for edge in ours.keys() | theirs.keys()}

        calls, costs = difference(self.calls, other.calls), difference(self.costs, other.costs)
        return Dump((self.total - other.total) / share, calls, costs)

    def functions(self, pattern):
        """Those called that are named so."""
        wanted = re.compile(pattern)
        return {callee for _, callee in self.calls if wanted.search(callee)}

    def inclusive(self, functions):
        """Instructions in those functions and all below them. One that is called by another of them is in it already."""
        return sum(cost for (caller, callee), cost in self.costs.items() if callee in functions and caller not in functions)

    def times(self, functions):
        """How often those are called from others."""
        return sum(many for (caller, callee), many in self.calls.items() if callee in functions and caller not in functions)
