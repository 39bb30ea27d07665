#!/usr/bin/env python3
"""kill -9 at random moments under load: what was acknowledged is kept, once.

    python3 tests/crash/kill_nine.py --binary target/release/mailserver --rounds 200 [--seed N]

Each round IMAP clients append, flag, copy, move and expunge messages and make,
rename, delete and subscribe mailboxes; others send by SMTP to one or several
accounts, and through the queue, with priorities and release times, to three hosts
while an operator holds, releases, retries, returns and deletes entries. The hosts
fail at random (421 at once, some recipients, cuts in the content and after its
dot, 451, slowness) and for whole rounds. The server is killed,
sometimes again as it starts, checked, started, and compared with what each
client was told. Compared are: every mailbox exactly (octets, flags, UIDs,
UIDVALIDITY, HIGHESTMODSEQ), every message by SMTP (once per recipient), every
entry of the queue (held, deleted; in the end sent, returned once, or deleted).
Copies sent twice are counted by cause: a reply that was lost, a kill between reply
and record; any other is a problem.

A kill takes nothing from the page cache; power_cut.py does."""

import argparse
import random
import shutil
import sys
import time

from world import Report, World


def once(world, number):
    """One round; the problems and the seconds to ready."""
    threads = world.load()
    time.sleep(random.uniform(0.05, 1.5))
    world.server.kill()
    for thread in threads:
        thread.join()
    problems = []
    if random.random() < 0.2:
        world.launch()
        time.sleep(random.uniform(0, 0.06))
        world.server.kill()
    if number % 2:
        problems += world.check()
    ready = world.start()
    if not number % 2:
        problems += world.check()
    return problems + world.verify(), ready


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary", default="target/release/mailserver")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--fresh", type=int, default=25, help="rounds until a new store is begun")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    print(f"seed {arguments.seed}")
    report, world = Report(), None
    for number in range(arguments.rounds):
        if world is None:
            world = World(arguments.binary, f"{arguments.seed}-{number}")
            world.start()
        report.round(*once(world, number))
        if (number + 1) % arguments.fresh == 0 or number + 1 == arguments.rounds:
            failed = report.failed
            report.world(world, world.finish())
            if report.failed == failed:
                shutil.rmtree(world.server.folder)
            else:
                print(f"   kept: {world.server.folder}")
            world = None
    sys.exit(report.end())


if __name__ == "__main__":
    main()
