#!/usr/bin/env python3
"""Checks an exported audit log without gatehouse: python3 verify.py [--whole] < audit.ndjson

Each line ends with its hash: SHA-256 of the line without that member. Each line names the hash of the row before it. An export of
everything is checked from its first row to its last; of an export with filters, each row is, and each link between neighbours. With
--whole the export has to be one without filters: a row that is not there is a fault.
"""
import hashlib
import json
import sys

END = ',"hash":"'  # the last member of a line
hashes, rows, links, faults = {}, 0, 0, []

for text in sys.stdin.buffer:
    line = text.rstrip(b"\n")
    row = json.loads(line)
    if row.get("sequence") is None:
        continue  # written by a version without a chain
    rows += 1
    sequence, hashed = row["sequence"], line[: line.rindex(END.encode())] + b"}"
    if hashlib.sha256(hashed).hexdigest() != row["hash"]:
        faults.append(f"row {sequence} was changed")
    before = hashes.get(sequence - 1, "0" * 64 if sequence == 1 else None)
    if before is not None:
        links += 1
        if before != row["previousHash"]:
            faults.append(f"row {sequence} does not follow row {sequence - 1}")
    elif "--whole" in sys.argv:
        faults.append(f"the row before row {sequence} is not here")
    hashes = {sequence: row["hash"]}

for fault in faults:
    print(fault, file=sys.stderr)
head = "".join(f", head {sequence}:{hash}" for sequence, hash in hashes.items())
print(f"{rows} rows, {links} of them linked to the one before{head}")
sys.exit(1 if faults else 0)
