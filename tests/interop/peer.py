"""A peer that sends octets as it likes, and what tests with it have in common."""

import base64
import pathlib
import re
import socket
import ssl
import time

from server import PASSWORD

TLS = ssl.create_default_context()
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE


class Peer:
    """One connection that sends what it likes and reads what comes."""

    def __init__(self, server, port, tls=None, greeting=True):
        self.socket = socket.create_connection((server.host, server.ports[port]), 20)
        self.waiting = b""
        if tls or (tls is None and port.endswith("s")):
            self.encrypt()
        self.greeting = self.line() if greeting else b""

    def encrypt(self):
        self.socket = TLS.wrap_socket(self.socket)

    def send(self, octets):
        """False when the server hung up in between."""
        try:
            self.socket.sendall(octets)
            return True
        except OSError:
            return False

    def more(self):
        chunk = self.socket.recv(1 << 20)
        self.waiting += chunk
        return chunk

    def line(self):
        while b"\n" not in self.waiting:
            if not self.more():
                break
        line, end, self.waiting = self.waiting.partition(b"\n")
        return line + end

    def reply(self, command=None):
        """The whole answer to an SMTP command."""
        if command is not None:
            self.send(command + b"\r\n")
        text = line = self.line()
        while line[3:4] == b"-":
            line = self.line()
            text += line
        return text

    def imap(self, command, tag=b"tag9"):
        """All that comes up to the tagged response."""
        self.send(tag + b" " + command + b"\r\n")
        return self.tagged(tag)

    def tagged(self, tag=b"tag9"):
        parts, tail, end = [self.waiting], self.waiting, re.compile(rb"(^|\n)" + tag + rb" [^\r\n]*\r\n$")
        self.waiting = b""
        while not end.search(tail):
            chunk = self.socket.recv(1 << 20)
            if not chunk:
                break
            parts.append(chunk)
            tail = (tail + chunk)[-4_000:]
        return b"".join(parts)

    def end(self):
        """Everything up to the end; a reset is a lost answer and is told as such."""
        try:
            while self.more():
                pass
        except ConnectionResetError:
            self.waiting += b"<reset>"
        except ssl.SSLError:
            pass
        octets, self.waiting = self.waiting, b""
        return octets

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def mailbox(server, user="alice", name=b"INBOX"):
    peer = Peer(server, "imaps")
    answer = peer.imap(b'LOGIN "%s@a.test" "%s"' % (user.encode(), PASSWORD.encode()))
    assert b"tag9 OK" in answer, answer
    assert b"tag9 OK" in peer.imap(b"SELECT " + name)
    return peer


def append(peer, octets, name=b"INBOX"):
    peer.send(b"tag9 APPEND %s {%d+}\r\n" % (name, len(octets)) + octets + b"\r\n")
    answer = peer.tagged()
    assert b"tag9 OK" in answer, answer[-300:]


def ready(server, port="smtp", to=b"bob@a.test"):
    """A session in which RCPT has succeeded."""
    peer = Peer(server, port)
    peer.reply(b"EHLO client.test")
    assert peer.reply(b"MAIL FROM:<x@else.test>").startswith(b"250")
    assert peer.reply(b"RCPT TO:<" + to + b">").startswith(b"250")
    return peer


def submission(server):
    peer = Peer(server, "submissions")
    peer.reply(b"EHLO client.test")
    plain = base64.b64encode(b"\0alice@a.test\0" + PASSWORD.encode())
    assert peer.reply(b"AUTH PLAIN " + plain).startswith(b"235")
    return peer


def memory(server):
    """Octets of the server's proportional set."""
    text = pathlib.Path(f"/proc/{server.pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) * 1024


def good_client(server):
    """Sends one mail and looks into a mailbox; the seconds that takes."""
    started = time.monotonic()
    with ready(server) as smtp:
        smtp.reply(b"DATA")
        assert smtp.reply(b"Subject: good\r\n\r\nhello\r\n.").startswith(b"250")
    mailbox(server).close()
    return time.monotonic() - started
