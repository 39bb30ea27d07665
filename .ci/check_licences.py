#!/usr/bin/env python3
"""Checks what we link against deny.toml without cargo-deny: every crate has a
licence of the allow list and comes from the registry."""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
ALLOWED = set(tomllib.loads((ROOT / "deny.toml").read_text())["licenses"]["allow"])
metadata = json.loads(subprocess.run(["cargo", "metadata", "--format-version=1", "--locked", "--all-features"],
                                     cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def fits(expression):
    """True when some choice that the SPDX expression leaves is allowed."""
    words = re.sub(r"[\w.+-]+", lambda word: word.group() if word.group() in ("AND", "OR", "WITH")
                   else str(word.group() in ALLOWED), expression.replace("/", " OR "))
    words = re.sub(r"(True|False) WITH \w+", r"\1", words)
    return eval(words.replace("AND", "and").replace("OR", "or"))  # only True, False, and, or, brackets


problems = []
for package in metadata["packages"]:
    if package["source"] is None:
        continue
    if not package["source"].startswith("registry+"):
        problems.append(f"{package['name']}: comes from {package['source']}")
    if not fits(package["license"] or "none"):
        problems.append(f"{package['name']}: licence {package['license']}")
for problem in problems:
    print(problem)
print(f"{len(metadata['packages'])} crates, {len(problems)} problems")
sys.exit(bool(problems))
