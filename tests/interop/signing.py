#!/usr/bin/env python3
"""Signatures on what leaves: dkimpy and opendkim check mail that the mailserver binary sent, with keys that dnsmasq
publishes; a key is followed by another under way; what strangers sent and an alias passes on is sealed; and
`mailserver dns --check` compares all records with what is published.

    python3 tests/interop/signing.py --binary target/debug/mailserver"""

import argparse
import json
import pathlib
import shlex
import smtplib
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from server import PASSWORD, Server, free_port, need  # noqa: E402

# Run by whichever Python has dkimpy: a message on standard input, the records as JSON in the argument.
JUDGE = """
import json, sys, dkim
records = {name: text.encode() for name, text in json.loads(sys.argv[1]).items()}
look = lambda name, timeout=5: records.get(name.decode().rstrip('.'))
message = sys.stdin.buffer.read()
signatures = message.split(b'\\r\\n\\r\\n')[0].lower().count(b'dkim-signature:')
def verdict(i):
    try:
        return dkim.DKIM(message).verify(idx=i, dnsfunc=look)
    except dkim.ValidationError:
        return False
verdicts = [verdict(i) for i in range(signatures)]
chain, sets, why = dkim.arc_verify(message, dnsfunc=look)
print(json.dumps({'dkim': verdicts, 'arc': chain.decode() if chain else None, 'sets': len(sets), 'why': why}))
"""


def python_with_dkimpy():
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import dkim"], capture_output=True).returncode == 0:
            return python
    return None


class Sink(socketserver.ThreadingTCPServer):
    """Takes all mail but for no@, offers nothing, and keeps what it was sent."""

    allow_reuse_address = daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", free_port()), Talk)
        self.mail = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def wait(self, text):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for mail in list(self.mail):
                if text in mail:
                    return mail
            time.sleep(0.05)
        raise AssertionError(f"no mail with {text!r} came: {self.mail}")


class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        say = lambda line: self.wfile.write(line + b"\r\n")
        say(b"220 sink")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"QUIT":
                return say(b"221 bye")
            if verb == b"RCPT" and b"<no@" in line:
                say(b"550 5.1.1 nobody")
            elif verb == b"DATA":
                say(b"354 go")
                lines = []
                for line in self.rfile:
                    if line == b".\r\n":
                        break
                    lines.append(line[1:] if line.startswith(b".") else line)
                self.server.mail.append(b"".join(lines))
                say(b"250 ok")
            else:
                say(b"250 ok")


class Names:
    """dnsmasq with the lines of a zone file."""

    def __init__(self, port):
        self.port, self.process = port, None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="names-"))

    def publish(self, lines):
        text = [f"port={self.port}", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv", "no-hosts",
                "host-record=mx.a.test,192.0.2.9",
                "host-record=mx.sink.test,192.0.2.10", "mx-host=sink.test,mx.sink.test,10",
                "txt-record=sink.test,v=spf1 ip4:127.0.0.1 -all", "local-ttl=1", "local=/test/", "neg-ttl=1", "pid-file="]
        for line in lines:
            if not line or line.startswith(";"):
                continue
            name, _, _, kind, data = line.split(" ", 4)
            name = name.rstrip(".")
            words = shlex.split(data)
            if kind == "MX":
                text.append(f"mx-host={name},{words[1].rstrip('.')},{words[0]}")
            elif kind == "TXT":
                text.append(f"txt-record={name}," + ",".join(f'"{word}"' for word in words))
            elif kind == "SRV":
                text.append(f"srv-host={name},{words[3].rstrip('.')},{words[2]},{words[0]},{words[1]}")
        self.stop()
        (self.folder / "conf").write_text("\n".join(text) + "\n")
        self.process = subprocess.Popen(["dnsmasq", "-k", "-C", self.folder / "conf", "-u", "root"])
        time.sleep(0.3)
        assert self.process.poll() is None, "dnsmasq ended"

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


def texts(lines):
    """TXT records by name."""
    found = {}
    for line in lines:
        parts = line.split(" ", 4)
        if len(parts) == 5 and parts[3] == "TXT":
            found[parts[0].rstrip(".")] = "".join(shlex.split(parts[4]))
    return found


def judged(python, mail, records):
    done = subprocess.run([python, "-c", JUDGE, json.dumps(records)], input=mail, capture_output=True, check=True)
    return json.loads(done.stdout)


def opendkim(mail, records):
    """What opendkim says of a message."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="opendkim-"))
    (folder / "dns").write_text("".join(f"{name} {text}\n" for name, text in records.items()))
    (folder / "conf").write_text(f"Mode v\nTestDNSData file:{folder}/dns\nUserID root\n")
    (folder / "mail").write_bytes(mail)
    done = subprocess.run(["opendkim", "-x", folder / "conf", "-vvv", "-t", folder / "mail"], capture_output=True, text=True)
    return done.stdout + done.stderr


def submit(server, subject, to):
    client = smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=30)
    client.starttls()
    client.login("alice@a.test", PASSWORD)
    mail = f"From: Alice <alice@a.test>\r\nTo: {to}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n" \
           "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" \
           "\u00fcber  alles \r\n.punkt\r\n\r\n\r\n"
    client.sendmail("alice@a.test", [to], mail.encode(), ["BODY=8BITMIME"])
    client.quit()


def from_outside(server, subject, to):
    """A stranger who says to be of the house."""
    client = smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=30)
    mail = f"From: Boss <boss@a.test>\r\nTo: {to}\r\nSubject: {subject}\r\n" \
           "Authentication-Results: mx.a.test; dkim=pass header.d=bank.test\r\n\r\nPay.\r\n"
    client.sendmail("eve@sink.test", [to], mail)
    client.quit()


def mail_is_signed(server, sink, python, names):
    records = texts(names)
    submit(server, "two keys", "bob@sink.test")
    mail = sink.wait(b"two keys")
    # Converted on its way: what is signed is what was sent.
    assert b"=C3=BCber" in mail and mail.isascii(), mail
    verdict = judged(python, mail, records)
    assert verdict["dkim"] == [True, True], (verdict, mail)
    other = judged(python, mail.replace(b"alles", b"nichts"), records)
    assert other["dkim"] == [False, False], other
    said = opendkim(mail, records)
    assert "verification" in said and "succeeded" in said, said
    print("   mail with two keys passes in dkimpy and opendkim")
    # A notice, which nobody submitted.
    from_outside(server, "refused", "nobody@a.test")
    notice = sink.wait(b"delivery-status")
    verdict = judged(python, notice, records)
    assert verdict["dkim"] == [True, True], (verdict, notice)
    print("   a notice is signed, too")
    server.command("dkim", "off", "a.test")
    submit(server, "switched off", "bob@sink.test")
    assert b"DKIM-Signature" not in sink.wait(b"switched off")
    server.command("dkim", "on", "a.test")
    server.command("account", "set", "alice@a.test", "--signature", "no")
    submit(server, "not by alice", "bob@sink.test")
    assert b"DKIM-Signature" not in sink.wait(b"not by alice")
    server.command("account", "set", "alice@a.test", "--signature", "yes")


def forwards_are_sealed(server, sink, python, names):
    from_outside(server, "passed on", "fwd@a.test")
    mail = sink.wait(b"passed on")
    verdict = judged(python, mail, texts(names))
    assert verdict["arc"] == "pass" and verdict["sets"] == 1, (verdict, mail)
    assert b"DKIM-Signature" not in mail and b"bank.test" not in mail, mail
    results = mail.split(b"ARC-Authentication-Results:")[1].split(b"\r\n\r\n")[0]
    assert b"mx.a.test; " in results and b"spf=pass" in results, mail
    print("   what strangers sent is sealed and not signed")


def a_key_follows_another(server, sink, python, names, dns):
    run = lambda *words: server.command(*words).splitlines()
    before = json.loads(run("dkim", "list", "a.test", "--json")[0])["selector"]
    rotated = run("dkim", "rotate", "a.test")
    lines = names + rotated
    run("schedule", "run", "dkim")
    submit(server, "before", "bob@sink.test")
    assert b"s=" + before.encode() in sink.wait(b"before")
    dns.publish(lines)
    # A server that answered "no such name" may be believed for some seconds.
    deadline = time.monotonic() + 20
    while "2 steps" not in (told := run("schedule", "run", "dkim")[0]) and "4 steps" not in told:
        assert time.monotonic() < deadline, (told, run("dkim", "list"))
        time.sleep(0.5)
    keys = [json.loads(line) for line in run("dkim", "list", "a.test", "--json")]
    assert sorted(key["stage"] for key in keys) == ["active", "active", "retired", "retired"], keys
    submit(server, "after", "bob@sink.test")
    mail = sink.wait(b"after")
    assert judged(python, mail, texts(lines))["dkim"] == [True, True], mail
    active = [key["selector"] for key in keys if key["stage"] == "active"]
    assert all(f"s={it};".encode() in mail for it in active) and before not in active, (mail, keys)
    print("   new keys sign once they are published, and the old ones retire")


def records_are_compared(server, dns):
    check = lambda *words: subprocess.run([server.binary, "dns", "a.test", "--check", *words, "--config",
                                           str(server.config)], capture_output=True, text=True, cwd=server.folder)
    lines = server.command("dns", "a.test").splitlines()
    dns.publish(lines)
    done = check()
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = [line for line in lines if not line.startswith("_dmarc") and "imaps" not in line]
    wrong = [line.replace("v=spf1 mx -all", "v=spf1 ip4:192.0.2.1 -all") for line in wrong]
    wrong = [line.replace("v=TLSRPTv1", "v=TLSRPTv0").replace("10 mx.a.test", "10 other.test") for line in wrong]
    key = next(line for line in wrong if "k=ed25519" in line)
    wrong[wrong.index(key)] = key.replace("p=", "p=AAAA")
    dns.publish(wrong)
    done = check("--json")
    found = {line["record"]: line for line in map(json.loads, done.stdout.splitlines())}
    state = lambda record: found[record]["state"]
    assert done.returncode == 1 and "not as they should be" in done.stderr, done
    assert state("MX a.test") == "different" and "other.test" in found["MX a.test"]["advice"], found
    assert state("TXT a.test") == "different" and "192.0.2.9" in found["TXT a.test"]["advice"], found
    assert state("TXT _dmarc.a.test") == "missing" and "publish: _dmarc" in found["TXT _dmarc.a.test"]["advice"], found
    assert state("TXT _smtp._tls.a.test") == "missing" and state("SRV _imaps._tcp.a.test") == "missing", found
    assert state("TXT " + key.split(" ")[0].rstrip(".")) == "different", found
    assert state("SRV _imap._tcp.a.test") == "ok" and state("name mx.a.test") == "ok", found
    print("   records are compared with those published")


def check(binary, python):
    sink, dns = Sink(), Names(free_port())
    extra = f'\n[[outgoing.route]]\ndomain = "sink.test"\nhost = "127.0.0.1"\nport = {sink.server_address[1]}\n' \
            'tls = "none"\n[filter]\nexempt = []\n'
    server = Server(binary, "a.test", ["alice"], dns=f"127.0.0.1:{dns.port}", extra=extra)
    server.command("alias", "add", "fwd@a.test", "bob@sink.test")
    server.command("alias", "add", "nobody@a.test", "no@sink.test")
    names = server.command("dkim", "add", "a.test", "--algorithm", "both", "--active").splitlines()
    stored = b"".join(path.read_bytes() for path in (server.folder / "data" / "store").rglob("*") if path.is_file())
    assert b"PRIVATE KEY" not in stored
    dns.publish(names)
    try:
        with server:
            mail_is_signed(server, sink, python, names)
            forwards_are_sealed(server, sink, python, names)
            a_key_follows_another(server, sink, python, names, dns)
            records_are_compared(server, dns)
    finally:
        dns.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/debug/mailserver")
    binary = parser.parse_args().binary
    python = python_with_dkimpy()
    if python is None:
        need("python3-dkim")
    elif all([need(tool) for tool in ("dnsmasq", "opendkim")]):
        began = time.monotonic()
        check(binary, python)
        print(f"   signatures, seals, keys and records are as they should be: {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
