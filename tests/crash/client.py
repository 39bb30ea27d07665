"""An IMAP client with literals, and messages that follow from their names."""

import base64
import hashlib
import itertools
import pathlib
import random
import re
import socket
import ssl
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))
from server import PASSWORD  # noqa: E402

TLS = ssl.create_default_context()
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE

LINE = 78
TEXT = b"\r\n".join(base64.b64encode(hashlib.sha512(b"%d" % n).digest()[:57]) for n in range(8_000)) + b"\r\n"
# Of 10 messages two are large enough to matter, and in 30 one is larger than what the log holds itself.
LINES = [1, 2, 3, 5, 8, 10, 20, 30, 130, 600] * 3
LINES[-1] = 2_000

# What a dead or dying server does to a client.
GONE = (OSError, EOFError)


class Refused(Exception):
    """NO or BAD."""


def octets(name):
    """The message of that name: always the same."""
    chance = random.Random(name)
    lines = chance.choice(LINES)
    start = chance.randrange(len(TEXT) // LINE - lines) * LINE
    # Names with f are of mail that `sender` submits, and must be from there.
    author = "sender@a.test" if name.startswith("f") else "x@else.test"
    head = f"From: <{author}>\r\nSubject: {name}\r\n\r\n".encode()
    return head + TEXT[start:start + lines * LINE]


def quoted(name):
    return b'"' + name.encode() + b'"'


def uid_set(uids):
    return ",".join(map(str, sorted(uids))).encode()


def uids_in(text):
    """The numbers of `1:3,7`."""
    found = []
    for part in text.decode().split(","):
        first, _, last = part.partition(":")
        found.extend(range(int(first), int(last or first) + 1))
    return found


class Imap:
    """One logged-in session. A response is a list of texts and literals in turn."""

    def __init__(self, server, user, patience=60):
        raw = socket.create_connection((server.host, server.ports["imaps"]), patience)
        self.socket = TLS.wrap_socket(raw)
        self.file = self.socket.makefile("rb")
        self.tags = itertools.count(1)
        self.response()
        self.do(b'LOGIN "%s@%s" "%s"' % (user.encode(), server.domain.encode(), PASSWORD.encode()))

    def response(self):
        parts = []
        while True:
            line = self.file.readline()
            if not line.endswith(b"\n"):
                raise EOFError("the server hung up")
            parts.append(line.rstrip(b"\r\n"))
            size = re.search(rb"\{(\d+)\}\r\n$", line)
            if not size:
                return parts
            literal = self.file.read(int(size[1]))
            if len(literal) < int(size[1]):
                raise EOFError("the server hung up within a literal")
            parts.append(literal)

    def do(self, command, *literals):
        """Sends a command, `%L` in it standing for a literal; the untagged
        responses and the text of the tagged one."""
        tag = b"t%d" % next(self.tags)
        pieces = command.split(b"%L")
        sent = tag + b" " + pieces[0]
        for literal, piece in zip(literals, pieces[1:], strict=True):
            sent += b"{%d+}\r\n" % len(literal) + literal + piece
        self.socket.sendall(sent + b"\r\n")
        untagged = []
        while True:
            parts = self.response()
            if parts[0].startswith(tag + b" "):
                break
            untagged.append(parts)
        text = parts[0][len(tag) + 1:]
        if not text.startswith(b"OK"):
            raise Refused(f"{command[:200]!r}: {text.decode(errors='replace')}")
        return untagged, text

    def words(self, command, kind):
        """The untagged responses of one kind, as text."""
        untagged, _ = self.do(command)
        return [b"".join(parts) for parts in untagged if parts[0].startswith(b"* " + kind)]

    def names(self, subscribed=False):
        rows = self.words(b'LSUB "" "*"' if subscribed else b'LIST "" "*"', b"LSUB" if subscribed else b"LIST")
        return {row.rsplit(b" ", 1)[1].strip(b'"').decode() for row in rows}

    def status(self, name):
        row = self.words(b"STATUS " + quoted(name) + b" (UIDNEXT UIDVALIDITY HIGHESTMODSEQ MESSAGES)", b"STATUS")[0]
        return {key.decode(): int(number) for key, number in re.findall(rb"([A-Z]+) (\d+)", row)}

    def fetch(self, uids, items):
        """UID, what stands before the literal, the literal."""
        untagged, _ = self.do(b"UID FETCH " + uids + b" (UID " + items + b")")
        for parts in untagged:
            found = re.match(rb"\* \d+ FETCH .*?UID (\d+)", parts[0]) or re.search(rb"UID (\d+)", parts[-1])
            # Flags may be told besides, unasked for (RFC 3501 section 7.4.2).
            is_asked = len(parts) > 1 or b"BODY" not in items
            if b" FETCH " in parts[0] and found and is_asked:
                yield int(found[1]), b" ".join(parts[::2]), parts[1] if len(parts) > 1 else None

    def uids(self):
        row = self.words(b"UID SEARCH ALL", b"SEARCH")[0]
        return [int(number) for number in row.split()[2:]]

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def flags_in(text):
    found = re.search(rb"FLAGS \(([^)]*)\)", text)
    return frozenset(found[1].decode().split()) - {"\\Recent"}


def name_in(message):
    """The name of a message, from its Subject."""
    found = re.search(rb"^Subject: ([^\r\n]*)", message, re.M)
    return found[1].decode() if found else None


def is_whole(message, name):
    """True for the octets of `name` behind header lines that the server added."""
    return message.endswith(octets(name))
