#!/usr/bin/env python3
"""Checks that documents and code agree: every RFC that code cites is a row of
docs/rfc.md, and every test that docs/features.md names exists."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = [p for p in ROOT.rglob("*.rs") if "target" not in p.parts]
problems = []

listed = set(re.findall(r"^\| (\d+) \|", (ROOT / "docs/rfc.md").read_text(), re.M))
cited = {}
for path in SOURCES:
    for number in re.findall(r"RFC (\d{3,5})", path.read_text()):
        cited.setdefault(number, path.relative_to(ROOT))
for number in sorted(set(cited) - listed, key=int):
    problems.append(f"docs/rfc.md has no row for RFC {number}, cited in {cited[number]}")

features = (ROOT / "docs/features.md").read_text()
for place in sorted(set(re.findall(r"`((?:tests|examples|mail[\w-]+)/[\w./-]+)`", features))):
    if not (ROOT / place).exists():
        problems.append(f"docs/features.md names {place}, which does not exist")

for problem in problems:
    print(problem)
sys.exit(bool(problems))
