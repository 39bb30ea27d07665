#!/usr/bin/env python3
"""Thousands of clients that connect, begin a command and trickle it on, an octet at a time: what each costs, and how
long one that means it waits for a login, a delivery and a reading. By hand: it wants a machine to itself.

    python3 tests/interop/slow_clients.py --binary target/release/mailserver [--clients 1000,5000]"""

import argparse
import pathlib
import resource
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from peer import Peer, good_client, memory  # noqa: E402
from server import LISTENERS, Server  # noqa: E402

SERVED, EACH = 1.0, 40  # seconds, kB


def crowd(server, port, count):
    """All of them, within a command that does not end."""
    peers = [[] for _ in range(4)]

    def some(mine):
        for _ in range(count // len(peers)):
            peer = Peer(server, port)
            peer.send(b"NO")
            mine.append(peer)

    threads = [threading.Thread(target=some, args=(mine,)) for mine in peers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(peers, [])


def trickle(peers, done):
    """An octet from each in turn; those whose time is up have been hung up on."""
    while not done.is_set():
        for peer in peers:
            peer.send(b"O")
            if done.wait(2 / len(peers)):
                break


def beside(server, port, count):
    before, began = memory(server), time.monotonic()
    peers = crowd(server, port, count)
    opened = time.monotonic() - began
    each = (memory(server) - before) / count / 1024
    done = threading.Event()
    trickling = threading.Thread(target=trickle, args=(peers, done))
    trickling.start()
    served = sorted(good_client(server) for _ in range(5))
    done.set()
    trickling.join()
    for peer in peers:
        peer.close()
    print(f"{port:<12} {count:>6} opened in {opened:5.1f} s, {each:6.1f} kB each, a good client in {served[0]:.2f} to "
          f"{served[-1]:.2f} s", flush=True)
    return served[-1] <= SERVED and each <= EACH


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/release/mailserver")
    parser.add_argument("--clients", default="1000,5000")
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    fine = True
    for count in map(int, arguments.clients.split(",")):
        for port, _, _ in LISTENERS:
            # Each with a server of its own, which owes no memory to those before.
            with Server(arguments.binary, "a.test", ["alice", "bob"]) as server:
                good_client(server)
                fine &= beside(server, port, count)
    sys.exit(not fine)


if __name__ == "__main__":
    main()
