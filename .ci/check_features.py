#!/usr/bin/env python3
"""Every feature of every crate compiles alone, and so does none of them: what one
needs, it turns on itself."""

import json
import subprocess
import sys


def main():
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version=1"],
        check=True, capture_output=True, text=True,
    )
    failed = []
    for package in json.loads(metadata.stdout)["packages"]:
        features = [name for name in package["features"] if name != "default"]
        for feature in [None, *sorted(features)] if features else []:
            command = ["cargo", "check", "-q", "--locked", "-p", package["name"], "--no-default-features"]
            if feature:
                command += ["--features", feature]
            shown = f"{package['name']} {feature or '(none)'}"
            if subprocess.run(command).returncode == 0:
                print(f"ok {shown}")
            else:
                failed.append(shown)
    for shown in failed:
        print(f"FAILED {shown}")
    sys.exit(1 if failed else 0)


main()
