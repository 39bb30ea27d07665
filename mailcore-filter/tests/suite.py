"""Turns a test suite (YAML) into JSON for openspf.rs or arc_suite.rs: suite.py SUITE.yml > SUITE.json"""
import json
import re
import sys

import yaml


class AsWritten(yaml.SafeLoader):
    """Takes nothing for a date or a truth value: a suite's values are texts, but for preferences."""


AsWritten.yaml_implicit_resolvers = {}
AsWritten.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[0-9]+$"), list("0123456789"))

with open(sys.argv[1], encoding="utf-8") as suite:
    json.dump([scenario for scenario in yaml.load_all(suite, AsWritten) if scenario], sys.stdout)
