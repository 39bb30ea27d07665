#!/usr/bin/env python3
"""Damage in the store: named, never served, and of what it covers only.

    python3 tests/crash/damage.py --binary target/release/mailserver --rounds 20 [--size 64MB]

Fills a store with messages by APPEND and SMTP and stops the server. Each round
damages some spots of its files: flipped bits, zeros, swapped and stale blocks,
segments cut off or gone, extents gone, an index damaged or gone, garbage behind
the end. Then the server must start, `mailserver check` must fail and name the
damage, and every message read by IMAP must be octet for octet what went in, or
be refused with a NO; UIDs and flags of all others stay, new mail is taken, and
the session lives. A spot costs one message at most where it hits one; a spot in
space that nothing uses costs nothing and may go unnoticed. Each round begins
with a sound copy."""

import argparse
import hashlib
import random
import re
import shutil
import smtplib
import subprocess
import sys
import threading
import time

from client import Imap, Refused, flags_in, octets
from server import Server

USERS = ["ann", "bea", "cat", "dan"]
BLOCK = 4_096


def size_of(text):
    number, unit = re.fullmatch(r"(\d+)(MB|GB)", text).groups()
    return int(number) * {"MB": 1_000_000, "GB": 1_000_000_000}[unit]


def fill(server, size):
    """What each account then holds: UID, flags, hash of the octets."""
    def one(user):
        written, number = 0, 0
        with Imap(server, user) as imap, smtplib.SMTP(server.host, server.ports["smtp"]) as smtp:
            while written < size / len(USERS):
                number += 1
                message = octets(f"{user}-{number}")
                written += len(message)
                if number % 4:
                    flags = random.choice([b"", b"\\Seen", b"\\Flagged work"])
                    imap.do(b"APPEND INBOX (" + flags + b") %L", message)
                else:
                    smtp.sendmail("x@else.test", [f"{user}@{server.domain}"], message)
    threads = [threading.Thread(target=one, args=(user,)) for user in USERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {user: {uid: (flags, digest) for uid, flags, digest in read(server, user)} for user in USERS}


def read(server, user):
    """Every message: UID, flags, hash; a text instead of the hash where it was refused."""
    with Imap(server, user, patience=120) as imap:
        imap.do(b"EXAMINE INBOX")
        rows = [(uid, flags_in(text)) for uid, text, _ in imap.fetch(b"1:*", b"FLAGS")]
        for first in range(0, len(rows), 50):
            page = dict(rows[first:first + 50])
            try:
                span = b"%d:%d" % (min(page), max(page))
                bodies = {uid: hashlib.sha256(body).digest() for uid, _, body in imap.fetch(span, b"BODY.PEEK[]")}
            except Refused:
                bodies = {}
            for uid, flags in page.items():
                if uid not in bodies:
                    bodies[uid] = alone(imap, uid)
                yield uid, flags, bodies[uid]


def alone(imap, uid):
    try:
        for _, _, body in imap.fetch(b"%d" % uid, b"BODY.PEEK[]"):
            return hashlib.sha256(body).digest() if body is not None else "no literal"
        return "no FETCH response"
    except Refused as error:
        return str(error)


class Files:
    """The store's files, and a sound copy to begin each round from."""

    def __init__(self, root):
        self.root, self.sound = root, root.parent / "sound"
        root.rename(self.sound)
        self.restore()

    def restore(self):
        shutil.rmtree(self.root, ignore_errors=True)
        subprocess.run(["cp", "-a", "--reflink=auto", self.sound, self.root], check=True)

    def segments(self):
        return sorted((self.root / "log").iterdir())

    def extents(self):
        return sorted(path for path in (self.root / "extents").iterdir() if path.stat().st_size > 128)

    def write(self, path, offset, data):
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(data)


def used(path):
    """Where the octets end that are not zeros filled ahead."""
    content = path.read_bytes().rstrip(b"\0")
    return len(content)


# Every kind of damage names the spots it made: (what, most messages it may cost).

def somewhere(files, count=1):
    """Segments and extents, the larger the likelier."""
    paths = files.segments() + files.extents()
    return random.choices(paths, weights=[path.stat().st_size for path in paths], k=count)


def flips(files):
    """Single bits, in the log or in extents."""
    for path in somewhere(files, random.randint(1, 4)):
        offset = random.randrange(used(path))
        with open(path, "rb") as file:
            file.seek(offset)
            old = file.read(1)[0]
        files.write(path, offset, bytes([old ^ 1 << random.randrange(8)]))
        yield f"bit at {offset} of {path.name}", 1


def zeros(files):
    path, = somewhere(files)
    offset, length = random.randrange(used(path)), random.choice([1, 64, 512, BLOCK])
    files.write(path, offset, bytes(length))
    yield f"{length} zeros at {offset} of {path.name}", None


def swapped(files):
    path = random.choice(files.segments())
    blocks = max(used(path) // BLOCK, 2)
    one, other = random.sample(range(blocks), 2)
    with open(path, "rb") as file:
        content = [(file.seek(block * BLOCK), file.read(BLOCK))[1] for block in (one, other)]
    files.write(path, one * BLOCK, content[1])
    files.write(path, other * BLOCK, content[0])
    yield f"blocks {one} and {other} of {path.name} swapped", None


def cut_last(files):
    """Acknowledged mail is cut off: the index knows that it is missing."""
    path = files.segments()[-1]
    end = random.randrange(used(path) // 2, used(path))
    with open(path, "r+b") as file:
        file.truncate(end)
    yield f"{path.name} cut off at {end}", None


def cut_middle(files):
    path = random.choice(files.segments()[:-1] or files.segments())
    end = random.randrange(used(path))
    with open(path, "r+b") as file:
        file.truncate(end)
    yield f"{path.name} cut off at {end}", None


def segment_gone(files):
    path = random.choice(files.segments())
    path.unlink()
    yield f"{path.name} removed", None


def extent_gone(files):
    for path in random.sample(files.extents(), min(3, len(files.extents()))):
        path.unlink()
        yield f"{path.name} removed", 1


def index_damaged(files):
    path = files.root / "index.db"
    for _ in range(random.choice([1, 5, 50])):
        offset = random.randrange(path.stat().st_size)
        files.write(path, offset, random.randbytes(random.choice([1, 16, 400])))
    yield "the index has wrong octets", 0


def index_cut(files):
    path = files.root / "index.db"
    with open(path, "r+b") as file:
        file.truncate(random.randrange(path.stat().st_size))
    yield "the index is cut off", 0


def index_gone(files):
    (files.root / "index.db").unlink()
    yield "the index is gone", 0


def index_gone_and_flip(files):
    """Without an index only the log knows what there is."""
    yield from index_gone(files)
    yield from flips(files)


def format_damaged(files):
    """The file that names the format and the store."""
    path = files.root / "format"
    offset = random.randrange(path.stat().st_size)
    files.write(path, offset, random.randbytes(1))
    yield f"octet {offset} of the format file", 0


def garbage(files):
    path = files.segments()[-1]
    with open(path, "ab") as file:
        file.write(random.randbytes(random.choice([10, 5_000, 100_000])))
    yield f"garbage behind the end of {path.name}", 0


KINDS = [flips, zeros, swapped, cut_last, cut_middle, segment_gone, extent_gone, index_damaged, index_cut, index_gone,
         index_gone_and_flip, format_damaged, garbage]


class Totals:
    def __init__(self):
        self.read = self.refused = self.unseen = self.spots = self.failed = 0


def once(server, files, known, kind, totals):
    """One round; what must not be."""
    problems, spots = [], list(kind(files))
    totals.spots += len(spots)
    begun = time.monotonic()
    try:
        server.start()
    except AssertionError as error:
        problems.append(f"it does not start: {str(error).splitlines()[-1]}")
        print(f"{kind.__name__}: {problems}", flush=True)
        return problems
    ready = time.monotonic() - begun
    try:
        server.command("check")
        named = ""
    except AssertionError as error:
        named = str(error)
    lost = gone = 0
    for user, messages in known.items():
        try:
            found = {uid: (flags, digest) for uid, flags, digest in read(server, user)}
        except Refused as error:
            problems.append(f"{user}: what there is can't be listed: {error}")
            continue
        for uid, (flags, digest) in messages.items():
            now = found.get(uid)
            if now is None:
                gone += 1
                continue
            totals.read += 1
            if isinstance(now[1], str):
                lost += 1
                if "amaged" not in now[1]:
                    problems.append(f"{user} {uid}: refused without saying why: {now[1]}")
            elif now[1] != digest:
                problems.append(f"{user} {uid}: WRONG OCTETS")
            if now[0] != flags:
                problems.append(f"{user} {uid}: flags were {sorted(flags)}, are {sorted(now[0])}")
        problems += [f"{user}: UID {uid} was never given" for uid in found.keys() - messages.keys()]
        problems += take_new(server, user, messages)
    server.stop()
    totals.refused += lost
    totals.unseen += gone
    if (lost or gone) and not named:
        problems.append(f"check found nothing, {lost} were refused and {gone} are gone")
    may = sum(cost for _, cost in spots) if all(cost is not None for _, cost in spots) else None
    if may is not None and lost + gone > may:
        problems.append(f"{lost} refused and {gone} gone for {len(spots)} spots")
    what = "; ".join(what for what, _ in spots)[:150]
    damage = len(named.splitlines())
    print(f"{kind.__name__}: {what}: ready in {ready:.2f} s, {lost} refused, {gone} gone, check names {damage}, "
          f"{len(problems)} problems", flush=True)
    for problem in problems[:10]:
        print(f"   {problem}")
    if problems and named:
        print("   check: " + "\n   ".join(named.splitlines()[:6]))
    return problems


def take_new(server, user, messages):
    """New mail is taken, under a UID of its own."""
    try:
        with Imap(server, user) as imap:
            answer = imap.do(b"APPEND INBOX %L", octets("new"))[1]
            uid = int(re.search(rb"APPENDUID \d+ (\d+)", answer)[1])
            imap.do(b"EXAMINE INBOX")
            there = alone(imap, uid) == hashlib.sha256(octets("new")).digest()
    except Refused as error:
        return [f"{user}: new mail is refused: {error}"]
    problems = [] if there else [f"{user}: the new message is not there"]
    if uid in messages:
        problems.append(f"{user}: UID {uid} was given again")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary", default="target/release/mailserver")
    parser.add_argument("--rounds", type=int, default=len(KINDS))
    parser.add_argument("--size", type=size_of, default="64MB")
    parser.add_argument("--only", choices=[kind.__name__ for kind in KINDS])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    print(f"seed {arguments.seed}")
    server, totals = Server(arguments.binary, "a.test", USERS), Totals()
    with server:
        known = fill(server, arguments.size)
    count = sum(map(len, known.values()))
    files = Files(server.folder / "data" / "store")
    print(f"{count} messages, {len(files.segments())} segments, {len(files.extents())} extents")
    for number in range(arguments.rounds):
        kind = next((it for it in KINDS if it.__name__ == arguments.only), KINDS[number % len(KINDS)])
        totals.failed += bool(once(server, files, known, kind, totals))
        files.restore()
    print(f"{arguments.rounds} rounds, {totals.spots} spots, {totals.read} messages read right or refused, "
          f"{totals.refused} refused, {totals.unseen} gone, {totals.failed} rounds with problems")
    if not totals.failed:
        shutil.rmtree(server.folder)
    sys.exit(bool(totals.failed))


if __name__ == "__main__":
    main()
