#!/usr/bin/env python3
"""One address guesses passwords over every protocol; the owner, elsewhere, is served.

    python3 tests/interop/brute_force.py --binary target/debug/mailserver"""

import argparse
import base64
import json
import multiprocessing
import pathlib
import shutil
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from peer import TLS, Peer  # noqa: E402
from server import PASSWORD, Server  # noqa: E402

GUESSES, SECONDS, OWNER = 20, 20, 0.5
ELSEWHERE = "127.0.0.2"


class From(Peer):
    """A peer at another address of this machine."""

    def __init__(self, server, port, source):
        where = (server.host, server.ports[port])
        self.socket = socket.create_connection(where, 20, source_address=(source, 0))
        self.waiting = b""
        if port.endswith("s"):
            self.encrypt()
        self.greeting = self.line()


def owner(server, source=ELSEWHERE, user=b"alice"):
    """A login, from connecting to its answer; the seconds."""
    started = time.monotonic()
    with From(server, "imaps", source) as peer:
        answer = peer.imap(b'LOGIN %s@a.test "%s"' % (user, PASSWORD.encode()))
        assert b"tag9 OK" in answer, answer
    return time.monotonic() - started


class Guesser:
    """Counts the answers that say whether a password was right."""

    def __init__(self, server, until):
        self.server, self.until = server, until
        self.checked, self.put_off, self.shut_out, self.number = 0, 0, 0, 0
        self.lock = threading.Lock()

    def password(self):
        with self.lock:
            self.number += 1
            return b"guess%d" % self.number

    def note(self, answer):
        with self.lock:
            if b"[UNAVAILABLE]" in answer or answer.startswith(b"454") or b"too many failed logins" in answer.lower():
                self.put_off += 1
            elif answer.startswith(b"535") or b"AUTHENTICATIONFAILED" in answer or b"[AUTH]" in answer:
                self.checked += 1
            elif answer and not answer.startswith(b"421"):
                raise AssertionError(answer)

    def run(self, guess):
        while time.monotonic() < self.until:
            try:
                guess()
            except OSError:
                with self.lock:
                    self.shut_out += 1
                time.sleep(0.2)

    def smtp(self):
        with Peer(self.server, "submissions") as peer:
            peer.reply(b"EHLO guesser.test")
            for _ in range(5):
                token = base64.b64encode(b"\0alice@a.test\0" + self.password())
                self.note(peer.reply(b"AUTH PLAIN " + token))

    def imap(self):
        with Peer(self.server, "imaps") as peer:
            for _ in range(5):
                answer = peer.imap(b'LOGIN alice@a.test "%s"' % self.password())
                self.note(answer)
                if not answer:
                    return

    def pop3(self):
        with Peer(self.server, "pop3s") as peer:
            for _ in range(3):
                peer.send(b"USER alice@a.test\r\n")
                peer.line()
                peer.send(b"PASS " + self.password() + b"\r\n")
                self.note(peer.line())


def attack(server, found):
    """In a process of its own: the owner's time is not to be measured beside it."""
    guesser = Guesser(server, time.monotonic() + SECONDS)
    ways = [guesser.smtp, guesser.imap, guesser.pop3] * 4
    threads = [threading.Thread(target=guesser.run, args=(way,)) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.put((guesser.checked, guesser.put_off, guesser.shut_out))


def guess_over_all(server):
    # A first login on this machine as it is now, nobody guessing.
    alone = owner(server, "127.0.0.3", b"bob")
    context = multiprocessing.get_context("fork")
    found = context.Queue()
    attacker = context.Process(target=attack, args=(server, found))
    attacker.start()
    slowest = 0
    while attacker.is_alive():
        slowest = max(slowest, owner(server))
        attacker.join(0.5)
    told, put_off, shut_out = found.get(timeout=5)
    print(f"   {told} guesses answered, {put_off} put off, {shut_out} shut out in {SECONDS} s")
    print(f"   the owner waited {slowest * 1000:.0f} ms at most, {alone * 1000:.0f} ms with nobody guessing")
    # What the last answer of a session hides, the log tells.
    checked = server.log().count("user name or password is wrong")
    assert 0 < told <= checked <= GUESSES, (told, checked)
    assert shut_out > 0, "never banned"
    assert slowest <= max(OWNER, 3 * alone), slowest


def wrong(server, passwords):
    """One connection for each, all at once; the answers."""
    peers = [Peer(server, "imaps") for _ in passwords]
    for peer, password in zip(peers, passwords):
        peer.send(b'tag9 LOGIN alice@a.test "%s"\r\n' % password)
    answers = [peer.tagged() for peer in peers]
    for peer in peers:
        peer.close()
    return answers


def listed(server):
    return [json.loads(line) for line in server.command("ban", "list", "--json").splitlines()]


def shut_out(server):
    try:
        with Peer(server, "imaps"):
            return False
    except OSError:
        return True


def test(server):
    print("-- guesses from one address, over SMTP, IMAP and POP3")
    guess_over_all(server)
    print("-- the ban is listed, outlives a restart and is lifted by command")
    ban, = listed(server)
    assert ban["who"] == "127.0.0.1/32" and ban["from"] == "logins", ban
    assert 500 < ban["seconds_left"] <= 600, ban
    assert "left" in server.command("ban", "list")
    assert shut_out(server)
    # Mail for this server comes in: other users may be behind the same address.
    with Peer(server, "smtp") as peer:
        assert peer.greeting.startswith(b"220")
    server.stop()
    server.launch()
    while b"\nready;" not in (server.folder / "log").read_bytes()[server.begins:]:
        time.sleep(0.05)
    assert [it["who"] for it in listed(server)] == ["127.0.0.1/32"]
    assert shut_out(server)
    server.command("ban", "remove", "127.0.0.1")
    assert not listed(server) and not shut_out(server)
    owner(server, "127.0.0.1")
    print("-- an old password, tried again and again, bans nobody")
    answers = wrong(server, [b"the old one"] * 12)
    assert all(b" NO " in answer for answer in answers), answers
    assert not listed(server)
    owner(server, "127.0.0.1")
    print("-- who is on the allow list is not counted")
    server.command("ban", "allow", "127.0.0.1")
    answers = wrong(server, [b"other%d" % number for number in range(12)])
    assert all(b"AUTHENTICATIONFAILED" in answer for answer in answers), answers
    assert [it["who"] for it in listed(server)] == ["127.0.0.1/32"] and listed(server)[0]["allowed"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/debug/mailserver")
    arguments = parser.parse_args()
    assert TLS is not None
    with Server(arguments.binary, "a.test", ["alice", "bob"]) as server:
        try:
            test(server)
        except BaseException:
            print(server.log()[-3000:])
            raise
        assert "panicked" not in server.log()
    shutil.rmtree(server.folder)
    print("passed")


if __name__ == "__main__":
    main()
