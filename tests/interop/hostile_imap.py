#!/usr/bin/env python3
"""IMAP clients that mean harm against the mailserver binary: bombs of literals, lines,
names, ranges and compression, messages that are much work, readers that never read,
and sessions with random faults.

    python3 tests/interop/hostile_imap.py --binary target/debug/mailserver [--only NAME]"""

import pathlib
import random
import shutil
import sys
import threading
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from hostile import PATIENCE, play  # noqa: E402
from peer import Peer, append, good_client, mailbox, memory  # noqa: E402
from server import Server  # noqa: E402

# What one FETCH of the worst message may take.
FETCH_PATIENCE = 0.5
# What bombs may add to the process.
MEMORY = 32 << 20
REFUSED = (b"tag9 BAD", b"tag9 NO", b"* BYE")


class Growth:
    """How much memory the server took at most while something went on."""

    def __init__(self, server, most=MEMORY):
        self.server, self.allowed, self.ends = server, most, threading.Event()

    def resident(self):
        pages = pathlib.Path(f"/proc/{self.server.pid}/statm").read_text().split()[1]
        return int(pages) * 4096

    def look(self):
        while not self.ends.wait(0.01):
            self.most = max(self.most, self.resident())

    def __enter__(self):
        self.before = self.most = self.resident()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.ends.set()
        self.thread.join()
        if kind is None:
            grown = self.most - self.before
            print(f"   grew by {grown / (1 << 20):.1f} MB at most")
            assert grown <= self.allowed, "too much memory"


def asked(peer, command, patience=PATIENCE):
    """The answer, after which the session is over as it said, or goes on."""
    started = time.monotonic()
    answer = peer.imap(command)
    took = time.monotonic() - started
    assert took < patience, (command[:60], took)
    if b"* BYE" in answer:
        assert b"<reset>" not in peer.end(), command[:60]
    else:
        assert b"tag8 OK" in peer.imap(b"NOOP", tag=b"tag8"), (command[:60], answer[-200:])
    return answer


def answered(server, command, patience=PATIENCE):
    with mailbox(server) as peer:
        return asked(peer, command, patience)


def test_literals_and_lines_before_login(server):
    with Growth(server):
        for bomb in (b"{4294967296}", b"{18446744073709551616}", b"{99999999999999999999}", b"{4294967296+}", b"{1000000}"):
            for command in (b"LOGIN ", b"AUTHENTICATE PLAIN ", b"APPEND INBOX ", b"LOGIN {1+}\r\nx "):
                with Peer(server, "imaps") as peer:
                    answer = peer.imap(command + bomb)
                    assert b"tag9 OK" not in answer and b"\r\n+" not in answer and not answer.startswith(b"+"), (bomb, command, answer)
        for endless in (b"x" * (2 << 20), b"a LOGIN " + b"x" * (2 << 20), b"a AUTHENTICATE PLAIN " + b"A" * (2 << 20),
                        b"a LOGIN x {2000000+}\r\n" + b"y" * 2_000_000, b'a LOGIN "' + b"\\x" * (1 << 20)):
            with Peer(server, "imap") as peer:
                peer.send(endless + b"\r\nz NOOP\r\n")
                answer = peer.end()
                assert b"* BYE" in answer and b"z OK" not in answer and b"<reset>" not in answer, (endless[:30], answer[-200:])
        with Peer(server, "imaps") as peer:
            peer.send(b"a LOGIN " + b"{1+}\r\nx " * 2_000 + b"\r\n")
            assert b"BYE" in peer.end()


def test_literals_after_login(server):
    with mailbox(server) as peer:
        append(peer, b"Subject: one\r\n\r\nx\r\n")
    with Growth(server):
        for size in (b"{10995116277760}", b"{10995116277760+}", b"{18446744073709551616}", b"{99999999999999999999}"):
            with mailbox(server) as peer:
                answer = peer.imap(b"APPEND INBOX " + size)
                assert b"TOOBIG" in answer and b"+ " not in answer, answer
        for command in (b"CREATE ", b"SELECT ", b"STATUS ", b"DELETE ", b"SUBSCRIBE ", b"RENAME INBOX ", b"COPY 1 ", b"LIST \"\" ",
                        b"SEARCH SUBJECT "):
            answer = answered(server, command + b"{67108864}")
            assert any(word in answer for word in REFUSED), answer
            assert b"\r\n+" not in answer and not answer.startswith(b"+"), answer
        for command in (b"CREATE ", b"STATUS "):
            # The octets come whether they are wanted or not (RFC 7888 section 4).
            with mailbox(server) as peer:
                peer.send(b"tag9 " + command + b"{67108864+}\r\n")
                went = all(peer.send(b"n" * (1 << 20)) for _ in range(64)) and peer.send(b"\r\ntag8 NOOP\r\n")
                answer = peer.end() if b"* BYE" in (told := peer.tagged(b"tag8") if went else peer.end()) else told
                assert b"tag9 OK" not in told and (b"BYE" in told or b"tag8 OK" in told), (command, told[-200:], answer[-200:])
        for command in (b"SEARCH" + b" SUBJECT {1+}\r\nx" * 2_000, b"SEARCH OR " + b"SUBJECT {1+}\r\nx " * 1_500,
                        b"APPEND INBOX (" + b"\\Seen " * 9_000 + b") {10995116277760}"):
            answer = answered(server, command)
            assert any(word in answer for word in REFUSED), (command[:40], answer[-200:])


def test_monsters(server):
    ranges = b",".join(b"%d" % n for n in range(1, 200_001, 2))
    some = ranges[:60_000].rsplit(b",", 1)[0]
    refused = [
        b"SEARCH " + b"(" * 60_000, b"SEARCH " + b"NOT " * 15_000 + b"ALL", b"SEARCH " + b"(" * 5_000 + b"ALL" + b")" * 5_000,
        b"SEARCH " + b"x" * 70_000, b"FETCH 1 " + b"(" * 60_000, b"FETCH 1 BODY[" + b"1." * 20_000 + b"1]",
        b"STORE 1 FLAGS " + b"(" * 60_000, b"LIST \"\" " + b"(" * 60_000, b"LIST (" + b"SUBSCRIBED " * 5_000 + b"(",
        b"SORT (" + b"REVERSE DATE " * 4_000 + b") UTF-8 ALL", b"UID SORT (SUBJECT) UTF-8 " + b"OR ALL " * 8_000 + b"ALL",
        b"THREAD REFERENCES UTF-8 " + b"NOT " * 15_000 + b"ALL", b"MOVE " + ranges + b" INBOX", b"UID MOVE " + ranges + b" INBOX",
        b"STATUS INBOX (" + b"MESSAGES " * 10_000 + b"(", b"ENABLE " + b"X" * 70_000, b"ID (" + b"\"a\" \"b\" " * 9_000 + b")",
    ]
    heard = [
        b"FETCH " + ranges + b" FLAGS", b"UID FETCH " + some + b" UID", b"MOVE " + some + b" nowhere", b"UID MOVE " + some + b" nowhere",
        b"UID MOVE 1:4294967295 nowhere", b"UID COPY 4294967295:1 nowhere", b"UID EXPUNGE " + some, b"STORE " + some + b" +FLAGS (x)",
        b"SEARCH " + some, b"UID SEARCH UID 1:4294967295", b"SEARCH " + b"OR ALL " * 8_000 + b"ALL",
        b"SEARCH " + b"1:* " * 15_000 + b"ALL", b"SEARCH RETURN (ALL SAVE) " + b"NOT $ " * 9_000,
        b"LIST \"\" \"" + b"*%" * 2_000 + b"x\"", b"LIST \"\" \"" + b"*a" * 400 + b"b\"", b"LIST \"\" (" + b"* " * 5_000 + b"*)",
        b"SEARCH TEXT \"" + b"a" * 60_000 + b"\"", b"STORE 1 FLAGS (" + b"k " * 20_000 + b"k)",
        b"STORE 1 FLAGS (" + b" ".join(b"k%d" % n for n in range(8_000)) + b")", b"STORE 1 FLAGS (" + b"k" * 60_000 + b")",
        b"FETCH 1 (" + b"BODY[TEXT] " * 5_000 + b"UID)", b"FETCH 1 BODY[HEADER.FIELDS (" + b"X " * 20_000 + b"X)]",
        b"FETCH 1 (" + b" ".join(b"BODY[]<%d.1>" % n for n in range(4_000)) + b")",
        b"NOTIFY SET " + b"(mailboxes INBOX (MessageNew MessageExpunge)) " * 1_000, b"ENABLE " + b"X" * 60_000,
    ]
    with Growth(server):
        for command in refused:
            answer = answered(server, command)
            assert any(word in answer for word in REFUSED), (command[:40], answer[-200:])
        for command in heard:
            answered(server, command)
        with mailbox(server) as peer:
            answer = asked(peer, b"CREATE \"" + b"a/" * 2_000 + b"a\"")
            assert b"tag9 NO" in answer or b"tag9 BAD" in answer, answer[-200:]
            for name in (b'"../../etc/passwd"', b'"a\\"b\\\\c"', b'"&AAA-"', b'"&Jjo"', b'"/"', b'""', b'"a//b"', b'"INBOX/../x"'):
                peer.imap(b"CREATE " + name)
    outside = [path for path in server.folder.rglob("*") if path.name in ("passwd", "etc", "..")]
    assert not outside, outside


def test_numbers(server):
    wrong = [b"FETCH 0 UID", b"FETCH 4294967296 UID", b"UID FETCH 0 UID", b"FETCH 1:0 UID", b"FETCH 1,, UID", b"FETCH -1 UID",
             b"FETCH 1 BODY[]<0.0>", b"FETCH 1 BODY[]<99999999999999999999.1>", b"FETCH 1 BODY[0]", b"FETCH 1 BODY[4294967296]",
             b"SEARCH UID 0", b"SEARCH SINCE 99-Jan-2020", b"SEARCH LARGER 99999999999999999999"]
    for number in range(0, len(wrong), 10):
        with mailbox(server) as peer:
            for command in wrong[number:number + 10]:
                answer = peer.imap(command)
                assert answer.startswith((b"tag9 BAD", b"tag9 NO")), (command, answer)


def test_nul_and_eight_bit(server):
    wrong = [b'CREATE "a\0b"', b"CREATE a\xffb", b"CREATE {3+}\r\na\0b", b'CREATE "\xff\xfe"', b'SELECT "\0"', b"NOOP\0", b"\0\0\0",
             b"STORE 1 +FLAGS (\xc3\xa9)", b"STORE 1 +FLAGS (a\0)", b'SEARCH SUBJECT "\0"', b"SEARCH SUBJECT {1+}\r\n\0",
             b'SEARCH CHARSET UTF-8 SUBJECT {2+}\r\n\xff\xff', b"ENABLE \xff", b'ID ("a" "\0")',
             b"APPEND INBOX ~{3+}\r\na\0b", b"FETCH 1 BODY[HEADER.FIELDS (\xff)]", b"FETCH 1 \xff"]
    for number in range(0, len(wrong), 5):
        with mailbox(server) as peer:
            for command in wrong[number:number + 5]:
                answer = asked(peer, command)
                assert any(word in answer for word in REFUSED), (command, answer)
    octets = b"Subject: \xff\xfe\r\n\r\n" + bytes(range(1, 10)) + bytes(range(128, 256)) + b"\r\n"
    with mailbox(server, name=b"INBOX") as peer:
        append(peer, octets)
        assert peer.imap(b"FETCH * BODY.PEEK[]").count(octets) == 1
        peer.imap(b"FETCH * (ENVELOPE BODYSTRUCTURE)")
    for line in (b"\xff NOOP\r\n", b"\0 NOOP\r\n", b"a\0 NOOP\r\n", b"a NO\0OP\r\n", b"\xef\xbb\xbfa NOOP\r\n"):
        with Peer(server, "imap") as peer:
            peer.send(line)
            said = peer.line()
            assert said.split(b" ")[1] == b"BAD" and not set(said) & {0, 0xff}, (line, said)
            assert peer.imap(b"NOOP").startswith(b"tag9 OK")


class Deflated:
    """The session of a peer, from here on compressed."""

    def __init__(self, peer):
        assert b"tag9 OK" in peer.imap(b"COMPRESS DEFLATE")
        self.peer, self.opens = peer, zlib.decompressobj(-15)

    def send(self, octets):
        return self.peer.send(octets)

    def end(self):
        """What comes up to the end."""
        try:
            return self.opens.decompress(self.peer.end().replace(b"<reset>", b""))
        except zlib.error as error:
            return str(error).encode()


def deflated(pieces):
    packs = zlib.compressobj(9, wbits=-15)
    return b"".join(packs.compress(piece) for piece in pieces) + packs.flush(zlib.Z_SYNC_FLUSH)


def test_compression_bombs(server):
    """What a client sends is bounded by what it becomes (RFC 4978 section 5)."""
    megabyte = bytes(1 << 20)
    bombs = {
        "200 MB of a line": deflated([b"a NOOP " + b"x" * 100] + [b"x" * (1 << 20)] * 200),
        "200 MB of NULs": deflated([megabyte] * 200),
        "a literal of 200 MB": deflated([b"a APPEND INBOX {209715200+}\r\n"] + [megabyte] * 200),
        "a name of 64 MB": deflated([b"a CREATE {67108864+}\r\n"] + [b"n" * (1 << 20)] * 64),
        "a million empty blocks": b"\x00\x00\x00\xff\xff" * 1_000_000,
        "a million small blocks": b"\x02\x00" * 1_000_000,
        "noise": random.Random(1).randbytes(1 << 20),
        "100,000 commands": deflated([b"a NOOP\r\n" * 100_000]),
    }
    for name, octets in bombs.items():
        with mailbox(server) as peer, Growth(server):
            compressed = Deflated(peer)
            peer.socket.settimeout(20)
            started = time.monotonic()

            def feed():
                for at in range(0, len(octets), 65_536):
                    if not peer.send(octets[at:at + 65_536]):
                        return
                peer.send(deflated([b"\r\nz LOGOUT\r\n"]))
            feeder = threading.Thread(target=feed)
            feeder.start()
            answer = compressed.end()
            feeder.join()
            took = time.monotonic() - started
            print(f"   {name}: {len(octets):,} octets, {took:.1f} s, {answer[-60:]}")
            assert took < 2 * PATIENCE, (name, took)
    good_client(server)


MULTIPART = b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n"


def bombs():
    """Messages that are much work to the careless, by name."""
    nested = b"".join(MULTIPART % (b"b%d" % n) + b"--b%d\r\n" % n for n in range(20_000))
    yield "20,000 nested parts", b"Subject: nested\r\n" + nested + b"\r\nx\r\n"
    same = b"".join(MULTIPART % b"b" + b"--b\r\n" for n in range(20_000))
    yield "20,000 parts of one boundary", same
    yield "20,000 messages in messages", b"Content-Type: message/rfc822\r\n\r\n" * 20_000 + b"Subject: x\r\n\r\nx\r\n"
    both = MULTIPART % b"b" + b"--b\r\nContent-Type: message/rfc822\r\n\r\n"
    yield "messages in parts in messages", both * 10_000 + b"Subject: x\r\n\r\nx\r\n" + b"--b--\r\n" * 10_000
    yield "100,000 parts", MULTIPART % b"b" + b"--b\r\n\r\nx\r\n" * 100_000 + b"--b--\r\n"
    yield "100,000 headers", b"".join(b"X-%d: y\r\n" % n for n in range(100_000)) + b"\r\nx\r\n"
    yield "100,000 addresses", b"To: " + b",\r\n ".join(b"a%d@x.test" % n for n in range(100_000)) + b"\r\n\r\nx\r\n"
    yield "100,000 comments", b"To: " + b"(" * 100_000 + b")" * 100_000 + b" a@x.test\r\n\r\nx\r\n"
    yield "100,000 groups", b"To: " + b"g:" * 100_000 + b"a@x.test;\r\n\r\nx\r\n"
    yield "one long line", b"Subject: " + b"=?utf-8?q?x?= " * 100_000 + b"\r\n\r\nx\r\n"
    parameters = b"".join(b";\r\n a*%d=x" % n for n in range(50_000))
    yield "50,000 parameter pieces", b"Content-Type: text/plain" + parameters + b"\r\n\r\nx\r\n"
    yield "an empty boundary", MULTIPART % b'""' + b"--\r\n\r\nx\r\n--\r\n" * 1_000
    yield "a long boundary", MULTIPART % (b'"' + b"b" * 100_000 + b'"') + (b"--" + b"b" * 100_000 + b"\r\n\r\n") * 5
    yield "boundary prefixes", MULTIPART % b"b" + b"".join(b"--b%d\r\n" % n for n in range(100_000)) + b"--b\r\n\r\nx"
    yield "dashes", MULTIPART % (b"-" * 60) + b"-" * 2_000_000
    yield "no end of header", b"Subject: x" + b"\r\n y" * 300_000
    yield "quoted pairs", b"From: \"" + b"\\\"" * 200_000 + b"\" <a@x.test>\r\n\r\nx\r\n"


def fetched(peer, number, ask):
    """The answer, and the least it took of three times: others use this machine, too."""
    took = PATIENCE
    for _ in range(3):
        started = time.monotonic()
        answer = peer.imap(b"FETCH %d %s" % (number, ask))
        took = min(took, time.monotonic() - started)
        if took < FETCH_PATIENCE:
            break
    return answer, took


def test_mime_bombs(server):
    depth = b"1." * 500 + b"1"
    asks = [b"BODYSTRUCTURE", b"ENVELOPE", b"FULL", b"BODY.PEEK[" + depth + b"]", b"BODY.PEEK[1.1.1.1.1.MIME]",
            b"BODY.PEEK[HEADER.FIELDS (TO SUBJECT)]", b"BODY.PEEK[50000]", b"RFC822.SIZE", b"BINARY.PEEK[1]", b"BINARY.SIZE[1]",
            b"BODY.PEEK[HEADER]<0.100>", b"BODY.PEEK[TEXT]<100000.10>"]
    slowest = (0, "")
    with mailbox(server) as peer:
        peer.imap(b"CREATE bombs")
        peer.imap(b"SELECT bombs")
        append(peer, b"Subject: first\r\n\r\nx\r\n", b"bombs")
        before = memory(server)
        with Growth(server, 96 << 20):
            for number, (name, octets) in enumerate(bombs(), 2):
                append(peer, octets, b"bombs")
                for ask in asks:
                    answer, took = fetched(peer, number, ask)
                    slowest = max(slowest, (took, f"{ask[:20].decode()} of {name}"))
                    assert b"tag9 OK" in answer or b"tag9 BAD" in answer or b"tag9 NO" in answer, (name, ask[:30], answer[-200:])
                    assert took < FETCH_PATIENCE, (name, ask[:30], took)
                assert peer.imap(b"FETCH %d BODY.PEEK[]" % number).count(octets) == 1, (name, "it comes back as it was")
        started = time.monotonic()
        for key in (b"TEXT zzz", b"HEADER TO a99999", b"SUBJECT zzz", b"BODY zzz"):
            with Growth(server, 96 << 20):
                peer.imap(b"SEARCH " + key)
        print(f"   slowest: {slowest[1]}, {slowest[0]:.2f} s; searched in {time.monotonic() - started:.1f} s")
        assert memory(server) - before < 160 << 20
        peer.imap(b"SELECT INBOX")
        peer.imap(b"DELETE bombs")


def test_readers_that_never_read(binary):
    with Server(binary, "a.test", ["alice", "bob"]) as server:
        with mailbox(server) as peer:
            peer.imap(b"CREATE big")
            octets = b"Subject: big\r\n\r\n" + (b"y" * 76 + b"\r\n") * 130_000
            for _ in range(5):
                append(peer, octets, b"big")
        with Growth(server, 16 << 20):
            silent = [mailbox(server, name=b"big") for _ in range(2)]
            silent[0].send(b"a FETCH 1:* BODY.PEEK[]\r\nb FETCH 1:* BODY.PEEK[]\r\n")
            # 400 MB by one command, and as much again by others behind it.
            again = b" ".join(b"BODY.PEEK[]<%d.10000000>" % n for n in range(8))
            silent[1].send(b"".join(b"a%d FETCH 1:* (%s)\r\n" % (n, again) for n in range(50)))
            others = [Peer(server, port) for port in ("imap", "pop3")]
            for peer, line in zip(others, (b"a NOOP\r\n", b"CAPA\r\n")):
                peer.socket.settimeout(0.5)
                while peer.send(line * 10_000):
                    pass
            time.sleep(1)
            assert good_client(server) < PATIENCE
            for peer in (*silent, *others):
                peer.close()
        with mailbox(server, name=b"big") as peer, Growth(server, 16 << 20):
            asked(peer, b"FETCH 1:* BODY.PEEK[TEXT]", 60)
            peer.send(b"a IDLE\r\n")
            peer.line()
            peer.socket.settimeout(0.5)
            while peer.send(b"x" * 100_000):
                pass
    shutil.rmtree(server.folder)


# Sessions that are right, to be spoilt. What stands in brackets is sent after a login.
SESSIONS = [
    b"t CAPABILITY\r\nt ID (\"name\" \"x\")\r\nt NOOP\r\nt ENABLE IMAP4rev2\r\nt SELECT INBOX\r\nt LOGOUT\r\n",
    b"t AUTHENTICATE PLAIN\r\n*\r\nt NOOP\r\nt LOGOUT\r\n",
]
SESSIONS_AFTER_LOGIN = [
    b"t FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[1.MIME] BODY[HEADER.FIELDS (TO)]<0.9>)\r\n",
    b"t SEARCH RETURN (MIN MAX COUNT ALL) OR (SUBJECT \"x\") NOT (BODY {1+}\r\nx SINCE 1-Feb-1994) UID 1:* KEYWORD $x LARGER 1\r\n",
    b"t APPEND INBOX (\\Seen $x) \"01-Jan-2020 00:00:00 +0100\" {14+}\r\nSubject: x\r\n\r\n {4+}\r\nab\r\n\r\nt NOOP\r\n",
    b"t STORE 1:2,* (UNCHANGEDSINCE 12) +FLAGS.SILENT (\\Deleted x)\r\nt UID EXPUNGE 1:*\r\nt EXPUNGE\r\nt CLOSE\r\n",
    b"t CREATE \"a/&BBAENQQ0-\" (USE (\\Sent))\r\nt LIST (SUBSCRIBED) \"\" (* %) RETURN (CHILDREN STATUS (MESSAGES))\r\nt DELETE a\r\n",
    b"t ENABLE QRESYNC\r\nt SELECT INBOX (QRESYNC (1 2 1:9 (1:3 1:3)))\r\nt UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)\r\n",
    b"t NOTIFY SET STATUS (selected MessageNew (UID) MessageExpunge) (personal MessageNew)\r\nt NOTIFY NONE\r\n",
    b"t APPEND INBOX CATENATE (URL \"/INBOX/;UID=1/;SECTION=TEXT\" TEXT {2+}\r\nab)\r\nt REPLACE 1 INBOX {2+}\r\nab\r\n",
    b"t IDLE\r\nDONE\r\nt UID MOVE 1:2 Archive\r\nt COPY $ INBOX\r\nt FETCH 1 (BINARY[1] EMAILID MODSEQ)\r\nt COMPRESS DEFLATE\r\n",
]
PIECES = [b"{5}", b"{99999999999}", b"{0+}\r\n", b"(", b")", b"\"", b"\\", b"\0", b"\r", b"\n", b"\r\n", b"*", b"4294967296", b"0", b":", b",",
          b"<1.2>", b"[", b"]", b"~{3+}\r\nabc", b"\xff\xc0", b"%", b"NIL", b" ", b"&-", b"+", b"t OK\r\n"]


def spoilt(octets, rolls):
    octets = bytearray(octets)
    for _ in range(rolls.randint(1, 6)):
        at, much = rolls.randrange(len(octets) + 1), rolls.randint(1, 20)
        kind = rolls.randrange(6)
        if kind == 0:
            octets[at:at + 1] = bytes([rolls.randrange(256)])
        elif kind == 1:
            del octets[at:at + much]
        elif kind == 2:
            octets[at:at] = rolls.choice(PIECES)
        elif kind == 3:
            octets[at:at] = octets[at:at + much] * rolls.choice([1, 2, 300])
        elif kind == 4:
            other = rolls.randrange(len(octets) + 1)
            octets[at:at] = octets[other:other + much]
        else:
            octets[at:at] = rolls.randbytes(much)
    return bytes(octets)


def test_spoilt_sessions(server):
    """Whatever is wrong in it, a session ends when its client does."""
    rolls = random.Random(20)
    before, done = memory(server), 0
    for _ in range(500):
        for port, sessions in (("imap", SESSIONS), ("imaps", SESSIONS_AFTER_LOGIN)):
            octets = spoilt(b"".join(rolls.choices(sessions, k=2)), rolls)
            with mailbox(server) if port == "imaps" else Peer(server, port) as peer:
                peer.socket.settimeout(PATIENCE)
                for at in range(0, len(octets), 50):
                    peer.send(octets[at:at + 50])
                peer.half_close()
                try:
                    done += peer.end().count(b"t OK")
                except TimeoutError:
                    raise AssertionError(("it does not end", octets))
    took = good_client(server)
    print(f"   1,000 sessions, {done:,} commands done, kept {(memory(server) - before) >> 10} kB, a good client was served in {took:.2f} s")
    assert memory(server) - before < MEMORY and took < PATIENCE


def test_half_closed_within_tls(server):
    """What was asked before the client closed its half is done, and the session ends."""
    for octets in (b"a NOOP\r\n", b"a IDLE\r\n", b"a APPEND INBOX {1000}\r\nxyz", b"a SEARCH SUBJECT {5+}\r\nab", b"a FETCH 1:* BODY.PEEK[]\r\n"):
        with mailbox(server) as peer:
            peer.send(octets)
            peer.half_close()
            started = time.monotonic()
            peer.end()
            assert time.monotonic() - started < PATIENCE, octets


if __name__ == "__main__":
    play(__doc__, globals())
