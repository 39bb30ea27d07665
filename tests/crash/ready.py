#!/usr/bin/env python3
"""How soon a killed server with much mail is back.

    python3 tests/crash/ready.py --binary target/release/mailserver
        [--messages 100000] [--queued 10000] [--accounts 20] [--rounds 10] [--recipients 4] [--retry 30m]

Fills a store by SMTP, each message going to some accounts, and the queue with
messages to a domain whose host is dead. Then, in each round, under load of both
kinds, `kill -9` at a moment of its own; it is started again and measured from
exec: to the greeting by SMTP, to the answers to a LOGIN and a SELECT of INBOX,
and the memory it then has. In the end `mailserver check` must find all data
sound, and all that was acknowledged must be there."""

import argparse
import base64
import itertools
import pathlib
import random
import socket
import sys
import threading
import time

from client import GONE, PASSWORD, TLS, Imap
from server import Server, free_port

CONNECTIONS = 8
LINE = b"x" * 70 + b"\r\n"


class Sender:
    """Sends small messages over one connection, each in one round trip."""

    def __init__(self, server, queue=False):
        raw = socket.create_connection((server.host, server.ports["submissions" if queue else "smtp"]), 60)
        self.socket = TLS.wrap_socket(raw) if queue else raw
        self.file = self.socket.makefile("rb")
        self.reply(b"220")
        self.say(b"EHLO client.test\r\n", b"250")
        self.sender = b"x@else.test"
        if queue:
            self.sender = b"sender@" + server.domain.encode()
            secret = base64.b64encode(b"\0" + self.sender + b"\0" + PASSWORD.encode())
            self.say(b"AUTH PLAIN " + secret + b"\r\n", b"235")

    def reply(self, code):
        while True:
            line = self.file.readline()
            if not line:
                raise EOFError("the server hung up")
            if line[3:4] != b"-":
                break
        if not line.startswith(code):
            raise AssertionError(f"{line!r} instead of {code!r}")

    def say(self, octets, code):
        self.socket.sendall(octets)
        self.reply(code)

    def send(self, name, to):
        commands = [b"MAIL FROM:<%s>\r\n" % self.sender]
        commands += [b"RCPT TO:<%s>\r\n" % address.encode() for address in to]
        self.socket.sendall(b"".join(commands) + b"DATA\r\n")
        for _ in commands:
            self.reply(b"250")
        self.reply(b"354")
        head = f"From: <{self.sender.decode()}>\r\nSubject: {name}\r\nMessage-ID: <{name}@else.test>\r\n\r\n"
        self.say(head.encode() + LINE * random.randint(1, 20) + b".\r\n", b"250")

    def close(self):
        self.file.close()
        self.socket.close()


class Load:
    """Who sends what, and what was acknowledged."""

    def __init__(self, server, users, recipients):
        self.server, self.users, self.recipients = server, users, recipients
        self.names, self.lock = itertools.count(1), threading.Lock()
        self.stored, self.queued, self.problems = dict.fromkeys(users, 0), 0, []

    def local(self, enough):
        self.work(enough, False)

    def relayed(self, enough):
        self.work(enough, True)

    def work(self, enough, queue):
        try:
            sender = Sender(self.server, queue)
            while not enough():
                number = next(self.names)
                users = random.sample(self.users, self.recipients)
                to = [f"u{number}@far.test"] if queue else [f"{user}@{self.server.domain}" for user in users]
                sender.send(f"m{number}", to)
                with self.lock:
                    if queue:
                        self.queued += 1
                    for user in () if queue else users:
                        self.stored[user] += 1
            sender.close()
        except GONE as error:
            if self.server.process.poll() is None and not self.server.dying:
                self.problems.append(f"a sender: {error!r}")
        except AssertionError as error:
            self.problems.append(f"a sender: {error}")

    def run(self, kind, enough, count=CONNECTIONS):
        threads = [threading.Thread(target=kind, args=(enough,), daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        return threads


def memory(pid, field):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(field)) / 1024


def tried(action, until):
    """Seconds of the clock at which `action` first succeeded."""
    while True:
        try:
            action()
            return time.monotonic()
        except (*GONE, AssertionError):
            if time.monotonic() > until:
                raise
            time.sleep(0.005)


def greeting(server):
    with socket.create_connection((server.host, server.ports["smtp"]), 60) as client:
        if not client.recv(4).startswith(b"220"):
            raise EOFError("no greeting")


def select(server, user):
    with Imap(server, user) as imap:
        imap.do(b"SELECT INBOX")


def start(server, user):
    """Starts it; seconds to the greeting and to a selected INBOX, and MB of memory."""
    begun = time.monotonic()
    server.dying = False
    server.launch()
    greeted = tried(lambda: greeting(server), begun + 60) - begun
    selected = tried(lambda: select(server, user), begun + 60) - begun
    return greeted, selected, memory(server.pid, "VmRSS")


def verify(server, load):
    problems = []
    for user, told in load.stored.items():
        with Imap(server, user) as imap:
            there = imap.status("INBOX")["MESSAGES"]
        if there < told:
            problems.append(f"{user}: {there} messages of {told}")
    waiting = int(server.command("queue", "list").splitlines()[-1].split()[0])
    if waiting < load.queued:
        problems.append(f"the queue: {waiting} entries of {load.queued}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary", default="target/release/mailserver")
    for name, default in [("messages", 100_000), ("queued", 10_000), ("accounts", 20), ("rounds", 10), ("recipients", 4)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--retry", default="30m", help="after which the queue is tried again")
    options = parser.parse_args()
    users = [f"user{n}" for n in range(options.accounts)]
    server = Server(options.binary, "a.test", [*users, "sender"], retry=f'["{options.retry}"]')
    server.command("domain", "add", "far.test", "--relay", f"127.0.0.1:{free_port()}")
    load = Load(server, users, options.recipients)
    server.dying = False
    server.start()
    begun = time.monotonic()
    threads = load.run(load.local, lambda: sum(load.stored.values()) >= options.messages or load.problems)
    threads += load.run(load.relayed, lambda: load.queued >= options.queued or load.problems, 4)
    for thread in threads:
        thread.join()
    if load.problems:
        sys.exit(f"filling: {load.problems[0]}\n{server.log()[-2000:]}")
    size = sum(path.stat().st_size for path in (server.folder / "data").rglob("*") if path.is_file())
    print(f"{sum(load.stored.values()):,} messages of {options.accounts} accounts and {load.queued:,} queued in "
          f"{time.monotonic() - begun:.0f} s, {size / 1e6:.0f} MB on disk, {memory(server.pid, 'VmRSS'):.0f} MB of memory",
          flush=True)
    rows = []
    for number in range(options.rounds):
        threads = load.run(load.local, lambda: False, 4) + load.run(load.relayed, lambda: False, 2)
        time.sleep(random.uniform(0.2, 3))
        server.dying = True
        server.kill()
        for thread in threads:
            thread.join()
        row = start(server, random.choice(users))
        rows.append(row)
        print(f"round {number + 1}: SMTP after {row[0]:.2f} s, INBOX selected after {row[1]:.2f} s, {row[2]:.0f} MB", flush=True)
    problems = load.problems + verify(server, load)
    server.stop()
    for name, column in zip(["SMTP", "INBOX"], zip(*rows)):
        times = sorted(column)
        print(f"   {name}: median {times[len(times) // 2]:.2f} s, longest {times[-1]:.2f} s")
    if "all data is sound" not in server.command("check"):
        problems.append("check")
    for problem in problems[:20]:
        print(f"   {problem}")
    print(f"{len(rows)} rounds, {len(problems)} problems")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
