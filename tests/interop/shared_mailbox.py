#!/usr/bin/env python3
"""Two clients change one mailbox while others watch it: what each watcher believes
at the end is what a fresh session sees.

    python3 tests/interop/shared_mailbox.py --binary target/debug/mailserver [--seed N]

IMAPClient and Python's imaplib append, mark, move, copy and expunge in a random order,
by turns and then at the same time. A session that keeps sequence numbers, one that
resynchronises by QRESYNC, ImapFlow and mbsync watch."""

import argparse
import imaplib
import json
import os
import pathlib
import random
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from clients import HERE, TOOLS, there  # noqa: E402
from peer import TLS, Peer  # noqa: E402
from server import PASSWORD, Server, need  # noqa: E402

FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "work", "\\Deleted"]
# Maildir's letters for those that mbsync carries.
LETTERS = {"\\Seen": "S", "\\Flagged": "F", "\\Answered": "R", "\\Draft": "D", "\\Deleted": "T", "$Forwarded": "P"}


def told_flags(text):
    return frozenset(flag for flag in text.decode().split() if flag != "\\Recent")


def set_of(text):
    """The numbers of a sequence set."""
    for part in text.decode().split(","):
        first, _, last = part.partition(":")
        yield from range(int(first), int(last or first) + 1)


class Watcher:
    """What a session is told, and nothing else, by UID: its flags."""

    def __init__(self, server):
        self.server = server
        self.peer = None
        self.call()

    def call(self):
        self.peer = Peer(self.server, "imaps")
        answer = self.peer.imap(b'LOGIN "alice@a.test" "%s"' % PASSWORD.encode())
        assert b"tag9 OK" in answer, answer

    def idle(self, seconds):
        """Hears news for so long."""
        self.peer.send(b"tag9 IDLE\r\n")
        until = time.monotonic() + seconds
        self.peer.socket.settimeout(0.1)
        while time.monotonic() < until:
            try:
                assert self.peer.more(), "the server hung up"
            except TimeoutError:
                pass
        self.peer.socket.settimeout(20)
        self.peer.send(b"DONE\r\n")
        self.hear(self.peer.tagged().replace(b"+ idling\r\n", b""))


class Numbers(Watcher):
    """Keeps a list by sequence number, as a client without extensions does."""

    def __init__(self, server):
        super().__init__(server)
        self.rows = []
        self.hear(self.peer.imap(b"SELECT shared"))
        self.noop()

    def hear(self, answer):
        assert b"tag9 OK" in answer, answer
        for line in answer.split(b"\r\n"):
            if found := re.fullmatch(rb"\* (\d+) EXISTS", line):
                count = int(found[1])
                assert count >= len(self.rows), ("EXISTS without EXPUNGE", line, len(self.rows))
                self.rows += [[None, None] for _ in range(count - len(self.rows))]
            elif found := re.fullmatch(rb"\* (\d+) EXPUNGE", line):
                del self.rows[int(found[1]) - 1]
            elif found := re.fullmatch(rb"\* (\d+) FETCH \((.*)\)", line):
                row = self.rows[int(found[1]) - 1]
                if uid := re.search(rb"UID (\d+)", found[2]):
                    assert row[0] in (None, int(uid[1])), ("a number means another message", line, row)
                    row[0] = int(uid[1])
                if flags := re.search(rb"FLAGS \(([^)]*)\)", found[2]):
                    row[1] = told_flags(flags[1])

    def noop(self):
        self.hear(self.peer.imap(b"NOOP"))
        if any(None in row for row in self.rows):
            first = next(number for number, row in enumerate(self.rows, 1) if None in row)
            self.hear(self.peer.imap(b"FETCH %d:* (UID FLAGS)" % first))

    def settle(self):
        self.noop()
        self.noop()

    def believes(self):
        uids = [row[0] for row in self.rows]
        assert uids == sorted(set(uids)), uids
        return {uid: flags for uid, flags in self.rows}


class Resync(Watcher):
    """Keeps UIDs; now and then it is cut off and catches up by QRESYNC."""

    def __init__(self, server):
        self.known, self.sure, self.modseq, self.validity = {}, 0, 1, None
        super().__init__(server)
        self.open()

    def open(self):
        assert b"ENABLED" in self.peer.imap(b"ENABLE QRESYNC")
        since = b" (QRESYNC (%d %d))" % (self.validity, self.modseq) if self.validity else b""
        answer = self.peer.imap(b"SELECT shared" + since)
        validity = int(re.search(rb"UIDVALIDITY (\d+)", answer)[1])
        assert self.validity in (None, validity)
        if self.validity is None:
            self.hear(answer)
        else:
            self.learn(answer)
            self.sure = max(self.known, default=0)
            count = int(re.search(rb"\* (\d+) EXISTS", answer)[1])
            assert len(self.known) == count, ("not everything was told", len(self.known), answer)
        self.validity = validity

    def again(self):
        self.peer.close()
        self.call()
        self.open()

    def hear(self, answer):
        while self.learn(answer):
            answer = self.peer.imap(b"UID FETCH %d:* (FLAGS MODSEQ)" % (self.sure + 1))

    def learn(self, answer):
        """True when there are messages of which nothing is known yet."""
        assert b"tag9 OK" in answer, answer
        grew = False
        for line in answer.split(b"\r\n"):
            if found := re.fullmatch(rb"\* VANISHED (?:\(EARLIER\) )?([\d:,]+)", line):
                for uid in set_of(found[1]):
                    self.known.pop(uid, None)
            elif found := re.fullmatch(rb"\* \d+ FETCH \((.*)\)", line):
                uid = int(re.search(rb"UID (\d+)", found[1])[1])
                flags = re.search(rb"FLAGS \(([^)]*)\)", found[1])
                if flags:
                    self.known[uid] = told_flags(flags[1])
            elif re.fullmatch(rb"\* \d+ EXISTS", line):
                grew = True
            assert not re.fullmatch(rb"\* \d+ EXPUNGE", line), "RFC 7162 section 3.2.10"
            # RFC 7162 section 6: what the mailbox itself is said to have reached.
            if found := re.search(rb"\[HIGHESTMODSEQ (\d+)\]", line):
                self.modseq = max(self.modseq, int(found[1]))
        # Of one that is new, a change of flags may be told before the others are known.
        if not grew:
            self.sure = max(self.known, default=0)
        return grew

    def settle(self):
        self.hear(self.peer.imap(b"NOOP"))
        self.hear(self.peer.imap(b"NOOP"))

    def believes(self):
        return self.known


class ImapFlow:
    """imapflow_watch.cjs: what that client's events come to."""

    def __init__(self, server):
        environment = {**os.environ, "NODE_PATH": str(TOOLS / "node/node_modules")}
        self.process = subprocess.Popen(
            ["node", str(HERE / "imapflow_watch.cjs"), server.host, str(server.ports["imaps"]), "alice@a.test", PASSWORD],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout.readline() == "watching\n"

    def believes(self):
        told = json.loads(self.process.communicate("\n", timeout=30)[0])
        return {int(uid): frozenset(flags) - {"\\Recent"} for uid, flags in told.items()}


class Mbsync:
    """Pulls the mailbox into a Maildir."""

    def __init__(self, server):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="mbsync-"))
        (self.home / "cert.pem").write_text(ssl.get_server_certificate((server.host, server.ports["imaps"])))
        (self.home / "Mail").mkdir()
        (self.home / "rc").write_text(
            f"IMAPAccount a\nHost {server.host}\nPort {server.ports['imaps']}\nUser alice@a.test\n"
            f'Pass "{PASSWORD}"\nSSLType IMAPS\nCertificateFile {self.home}/cert.pem\n\n'
            "IMAPStore far\nAccount a\n\n"
            f"MaildirStore near\nPath {self.home}/Mail/\nInbox {self.home}/INBOX\nSubFolders Verbatim\n\n"
            "Channel c\nFar :far:shared\nNear :near:shared\nCreate Near\nSync Pull\nExpunge None\nSyncState *\n")

    def pull(self, *bearable):
        done = subprocess.run(["mbsync", "-c", str(self.home / "rc"), "-a"], capture_output=True, text=True, timeout=60)
        told = done.stdout + done.stderr
        assert done.returncode == 0 or any(word in told for word in bearable), told

    def pull_meanwhile(self):
        # BODY[] NIL of a message that went while it was fetched (RFC 2180 section
        # 4.1.3) ends this run; the next one goes on.
        self.pull("unable to parse BODY[]")

    def believes(self):
        """By the number in the subject: the letters."""
        files = [file for folder in ("cur", "new") for file in (self.home / "Mail/shared" / folder).iterdir()]
        rows = [(re.search(rb"^Subject: (.*?)\r?$", file.read_bytes(), re.M)[1].decode(), file.name.partition(":2,")[2]) for file in files]
        # What is gone on the other side is marked here, since nothing is expunged.
        return sorted((subject, "".join(sorted(letters))) for subject, letters in rows if "T" not in letters)


class Changer:
    """Random changes by one client, each of which must succeed."""

    def __init__(self, name, rolls):
        self.name, self.rolls, self.made = name, rolls, 0

    def message(self):
        self.made += 1
        return f"Subject: {self.name}{self.made}\r\n\r\ntext\r\n".encode()

    def some_flags(self, known=FLAGS):
        return self.rolls.sample(known, self.rolls.randint(0, 3))

    def turn(self):
        kinds = [self.add, self.add, self.mark, self.mark, self.mark, self.remove, self.away, self.back, self.copy]
        self.rolls.choice(kinds)()

    def some(self):
        uids = self.uids()
        return self.rolls.sample(uids, min(len(uids), self.rolls.randint(1, 4)))


class ByImapClient(Changer):
    def __init__(self, server, rolls):
        from imapclient import IMAPClient
        super().__init__("c", rolls)
        self.client = IMAPClient(server.host, server.ports["imaps"], ssl_context=TLS, timeout=30)
        self.client.login("alice@a.test", PASSWORD)
        self.client.select_folder("shared")

    def uids(self):
        return self.client.search()

    def add(self):
        self.client.append("shared", self.message(), self.some_flags())

    def mark(self):
        change = self.rolls.choice([self.client.add_flags, self.client.remove_flags, self.client.set_flags])
        if uids := self.some():
            change(uids, self.some_flags(), silent=self.rolls.random() < 0.3)

    def remove(self):
        if uids := self.some():
            self.client.delete_messages(uids)
            self.client.uid_expunge(uids)

    def transfer(self, how, uids, to):
        try:
            if uids:
                how(uids, to)
        except self.client.Error as error:
            if "EXPUNGEISSUED" not in str(error):
                raise

    def away(self):
        self.transfer(self.client.move, self.some(), "elsewhere")

    def back(self):
        self.client.select_folder("elsewhere")
        self.transfer(self.client.move, self.client.search()[:3], "shared")
        self.client.select_folder("shared")

    def copy(self):
        self.transfer(self.client.copy, self.some(), "shared")


class ByImaplib(Changer):
    """By sequence number, as its numbers stand."""

    def __init__(self, server, rolls):
        super().__init__("p", rolls)
        self.client = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=TLS, timeout=30)
        self.client.login("alice@a.test", PASSWORD)
        self.client.select("shared")

    def done(self, answer):
        # RFC 5530 section 3: another client took them away meanwhile.
        gone = answer[0] == "NO" and b"EXPUNGEISSUED" in b"".join(part for part in answer[1] if part)
        assert answer[0] == "OK" or gone, answer
        return answer[1]

    def uids(self):
        return [int(number) for number in (self.done(self.client.search(None, "ALL"))[0] or b"").split()]

    def numbers(self):
        return ",".join(map(str, self.some()))

    def add(self):
        self.done(self.client.append("shared", f"({' '.join(self.some_flags())})", None, self.message()))

    def mark(self):
        item = self.rolls.choice(["FLAGS", "+FLAGS", "-FLAGS", "+FLAGS.SILENT"])
        if numbers := self.numbers():
            self.done(self.client.store(numbers, item, f"({' '.join(self.some_flags())})"))

    def remove(self):
        if numbers := self.numbers():
            self.done(self.client.store(numbers, "+FLAGS", "(\\Deleted)"))
        self.done(self.client.expunge())

    def away(self):
        if numbers := self.numbers():
            self.done(self.client._simple_command("MOVE", numbers, "elsewhere"))

    def back(self):
        self.done(self.client.select("elsewhere"))
        if numbers := self.uids()[:3]:
            self.done(self.client._simple_command("MOVE", f"1:{len(numbers)}", "shared"))
        # CLOSE would expunge; UNSELECT leaves what others marked.
        self.done(self.client.unselect())
        self.done(self.client.select("shared"))

    def copy(self):
        if numbers := self.numbers():
            self.done(self.client.copy(numbers, "shared"))


imaplib.Commands.setdefault("MOVE", ("SELECTED",))


def seen_afresh(peer):
    """What is in the mailbox, as a session that has just opened it is told."""
    assert b"tag9 OK" in peer.imap(b"EXAMINE shared")
    answer = peer.imap(b"UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    rows = re.findall(rb"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\) BODY\[[^\]]*\] \{\d+\}\r\nSubject: (\S*)", answer)
    peer.imap(b"UNSELECT")
    return {int(uid): told_flags(flags) for uid, flags, _ in rows}, {int(uid): subject.decode() for uid, _, subject in rows}


def differ(who, believed, wanted, what):
    if believed != wanted:
        keys = sorted(uid for uid in {*believed, *wanted} if believed.get(uid) != wanted.get(uid))
        rows = [(uid, believed.get(uid), wanted.get(uid)) for uid in keys[:5]]
        raise AssertionError(f"{what}: {who} believes otherwise: {rows}")


def play(server, seed, turns, seconds):
    rolls = random.Random(seed)
    fresh = Watcher(server)
    for name in (b"shared", b"elsewhere"):
        fresh.peer.imap(b"DELETE " + name)
        assert b"tag9 OK" in fresh.peer.imap(b"CREATE " + name)
    changers = [kind(server, random.Random(rolls.random())) for kind in (ByImapClient, ByImaplib)]
    for changer in changers:
        for _ in range(10):
            changer.add()
    numbers, resync, mbsync = Numbers(server), Resync(server), Mbsync(server) if need("mbsync") else None
    flow = ImapFlow(server) if need("node") and there("imapflow", (TOOLS / "node/node_modules/imapflow").is_dir()) else None
    for turn in range(turns):
        rolls.choice(changers).turn()
        if rolls.random() < 0.05:
            resync.again()
        if rolls.random() < 0.5:
            wanted, _ = seen_afresh(fresh.peer)
            for watcher in (numbers, resync):
                watcher.settle()
                differ(type(watcher).__name__, watcher.believes(), wanted, f"turn {turn}")
    until, faults = time.monotonic() + seconds, []

    def guarded(work):
        def run():
            try:
                while time.monotonic() < until:
                    work()
            except Exception as error:
                faults.append(error)
        return threading.Thread(target=run)

    def resynchronise():
        resync.idle(0.3)
        resync.again()
    work = [*(changer.turn for changer in changers), lambda: numbers.idle(0.4), resynchronise]
    threads = [guarded(each) for each in work + ([mbsync.pull_meanwhile] if mbsync else [])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    wanted, subjects = seen_afresh(Watcher(server).peer)
    for watcher in (numbers, resync):
        watcher.settle()
        differ(type(watcher).__name__, watcher.believes(), wanted, "at the end")
    if flow:
        differ("ImapFlow", flow.believes(), wanted, "at the end")
    if mbsync:
        mbsync.pull()
        letters = [(subjects[uid], "".join(sorted(LETTERS[flag] for flag in flags & {*LETTERS})))
                   for uid, flags in wanted.items() if "\\Deleted" not in flags]
        assert mbsync.believes() == sorted(letters), ("mbsync", mbsync.believes(), sorted(letters))
        shutil.rmtree(mbsync.home)
    print(f"   seed {seed}: {sum(changer.made for changer in changers)} messages made, {len(wanted)} left, all agree", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/debug/mailserver")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    try:
        import imapclient  # noqa: F401
    except ImportError:
        there("imapclient", None)
        return
    with Server(arguments.binary, "a.test", ["alice"]) as server:
        for seed in [arguments.seed] if arguments.seed is not None else [1, 2, 3]:
            try:
                play(server, seed, arguments.turns, arguments.seconds)
            except BaseException:
                print(f"   FAILED with --seed {seed}", flush=True)
                raise
    server.command("check")
    shutil.rmtree(server.folder)


if __name__ == "__main__":
    main()
