"""Certificates by ACME from Pebble, Let's Encrypt's test authority, which really connects to our listeners.

Each of the three challenges is answered; an account bound to another is made; a name added by a reload gets a
new certificate while a session goes on; a challenge that fails leaves the old certificate where it is; an authority
that is asked for by a reload, that has forgotten the account, or that is behind a proxy is no other; keys that are
announced are those of the next certificate.
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

from connect_proxy import ConnectProxy
from peer import Peer
from server import Server, free_port

HOOK = """#!/bin/sh
# hook present|cleanup NAME VALUE
[ -e {broken} ] && {{ echo 'no such zone' >&2; exit 3; }}
case "$1" in
present) path=set-txt;;
cleanup) path=clear-txt;;
esac
echo "$1 $2" >> {called}
exec curl -sf -d "{{\\"host\\": \\"$2.\\", \\"value\\": \\"$3\\"}}" http://127.0.0.1:{management}/$path
"""


class Authority:
    """Pebble with the name server that it asks; both on free ports."""

    def __init__(self, account=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="acme-"))
        self.port, self.http, self.tls, self.dns, self.management = (free_port() for _ in range(5))
        self.url = f"https://acme.test:{self.port}/dir"
        self.certificate = self.folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.folder / "key.pem", "-out", self.certificate, "-days", "2", "-subj",
                        "/CN=acme.test", "-addext", "subjectAltName=DNS:acme.test", "-addext",
                        "basicConstraints=critical,CA:FALSE"], check=True, capture_output=True)
        config = {"listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{free_port()}",
                  "certificate": str(self.certificate), "privateKey": str(self.folder / "key.pem"),
                  "httpPort": self.http, "tlsPort": self.tls, "ocspResponderURL": "",
                  "externalAccountBindingRequired": account is not None}
        if account:
            config["externalAccountMACKeys"] = dict([account])
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": config}))
        with open(self.folder / "log", "ab") as log:
            self.names = subprocess.Popen(
                ["pebble-challtestsrv", "-dns01", f"127.0.0.1:{self.dns}", "-management",
                 f"127.0.0.1:{self.management}", "-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""],
                stdout=log, stderr=log)
        self.start()

    def start(self):
        env = dict(os.environ, PEBBLE_VA_NOSLEEP="1", PEBBLE_AUTHZREUSE="0")
        with open(self.folder / "log", "ab") as log:
            self.pebble = subprocess.Popen(
                ["pebble", "-config", self.folder / "pebble.json", "-dnsserver", f"127.0.0.1:{self.dns}"],
                stdout=log, stderr=log, env=env)
        until(lambda: connects(self.port), "Pebble listens")

    def accounts(self):
        """How many were ever made. Requests say less: Pebble refuses some at random, to have them made again."""
        return self.log().count("accounts in memory")

    def forget(self):
        """Pebble keeps everything in memory: another knows nobody."""
        self.pebble.kill()
        self.pebble.wait()
        self.start()

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def config(self, challenge, names, more=""):
        names = ", ".join(f'"{name}"' for name in names)
        return (f'\n[acme]\ndirectory = "{self.url}"\nroots = "{self.certificate}"\nown_network = true\n'
                f'agree_to_terms = true\ncontact = "me@acme.test"\nchallenge = "{challenge}"\nnames = [{names}]\n{more}')

    def stop(self):
        for process in (self.pebble, self.names):
            process.kill()
            process.wait()
        shutil.rmtree(self.folder)


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def until(happened, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def shown(server, name, port="imaps"):
    """Who signed what the server shows for this name, and its names."""
    with socket.create_connection((server.host, server.ports[port]), 20) as plain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain, server_hostname=name) as stream:
            der = stream.getpeercert(True)
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-issuer", "-ext", "subjectAltName"],
                          input=der, capture_output=True, check=True).stdout.decode()
    names = sorted(word.strip(", \n")[4:] for word in text.replace(",", "\n").split("\n") if "DNS:" in word
                   for word in [word.strip()])
    return "Pebble" in text, names


def started(authority, binary, extra):
    server = Server(binary, "a.test", ["ann"], dns=f"127.0.0.1:{authority.dns}", extra=extra)
    return server.start()


def certified(server, names, seconds=60):
    def is_shown():
        return shown(server, names[0].replace("*", "any")) == (True, sorted(names))
    try:
        until(is_shown, f"a certificate for {names}", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}; shown is {shown(server, names[0])}\n{server.log()}") from None


def tls_alpn(authority, binary):
    listener = (f'\n[[listener]]\nprotocol = "imap"\naddress = "127.0.0.1:{authority.tls}"\ntls = "implicit"\n')
    names = ["mx.a.test", "imap.a.test"]
    server = started(authority, binary, listener + authority.config("tls-alpn-01", names))
    try:
        certified(server, names)
        assert shown(server, "mx.a.test", "pop3s")[0], "every listener shows it"
        # The challenge is over: nobody gets an answer any more.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["acme-tls/1"])
        try:
            with socket.create_connection(("127.0.0.1", authority.tls), 20) as plain:
                context.wrap_socket(plain, server_hostname="mx.a.test")
            raise AssertionError("a challenge was answered that nobody made")
        except (ssl.SSLError, ConnectionError):
            pass
        assert "nothing was due" in server.command("schedule", "run", "certificates")
        session = Peer(server, "imaps")
        text = server.config.read_text()
        server.config.write_text(text.replace('"imap.a.test"]', '"imap.a.test", "pop.a.test"]'))
        told = server.command("reload")
        assert "changed: [acme]" in told, told
        certified(server, names + ["pop.a.test"])
        assert b"OK" in session.imap(b"NOOP"), "the session went on"
        made = authority.accounts()
        server.kill()
        server.start()
        time.sleep(1)
        certified(server, names + ["pop.a.test"], 1)
        assert authority.accounts() == made == 1, "one account, kept over a restart"
        key = next((server.folder / "data" / "acme").glob("certificate-*.pem"))
        assert key.stat().st_mode & 0o777 == 0o600
    finally:
        server.kill()


def http(authority, binary):
    more = f'http_address = "127.0.0.1:{authority.http}"\n'
    server = started(authority, binary, authority.config("http-01", ["mx.a.test"], more))
    try:
        certified(server, ["mx.a.test"])
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{authority.http}/.well-known/acme-challenge/x", timeout=10)
            raise AssertionError("there is a page that nobody asked for")
        except urllib.error.HTTPError as error:
            assert error.code == 404
    finally:
        server.kill()


def dns(authority, binary):
    hook, called, broken = (authority.folder / name for name in ("hook", "called", "broken"))
    hook.write_text(HOOK.format(management=authority.management, called=called, broken=broken))
    hook.chmod(0o755)
    names = ["a.test", "*.a.test"]
    broken.touch()
    more = f'dns_hook = ["{hook}"]\ndns_delay = "0s"\n'
    server = started(authority, binary, authority.config("dns-01", names, more))
    try:
        until(lambda: "no such zone" in server.log(), "the failure is told")
        assert not shown(server, "mx.a.test")[0], "the old certificate stays"
        assert "JobFailed" in server.log() or "no such zone" in server.log()
        broken.unlink()
        told = server.command("schedule", "run", "certificates")
        assert "*.a.test" in told, told
        certified(server, names)
        calls = called.read_text().split("\n")
        assert calls.count("present _acme-challenge.a.test") == 2, calls
        assert calls.count("cleanup _acme-challenge.a.test") == 2, calls
    finally:
        server.kill()


def changed(authority, binary):
    """[acme] comes by a reload; then the authority forgets the account."""
    listener = f'\n[[listener]]\nprotocol = "imap"\naddress = "127.0.0.1:{authority.tls}"\ntls = "implicit"\n'
    server = started(authority, binary, listener)
    try:
        plain = server.config.read_text()
        assert not shown(server, "mx.a.test")[0]
        server.config.write_text(plain + authority.config("tls-alpn-01", ["mx.a.test"]))
        server.command("reload")
        certified(server, ["mx.a.test"])
        authority.forget()
        names = ["mx.a.test", "imap.a.test"]
        server.config.write_text(plain + authority.config("tls-alpn-01", names))
        server.command("reload")
        certified(server, names)
        assert authority.accounts() == 2
        # What is damaged is got again, and keeps nothing else from being served.
        certificate = server.folder / "data" / "acme" / "certificate-mx.a.test.pem"
        certificate.write_bytes(certificate.read_bytes()[:200])
        server.kill()
        server.start()
        certified(server, names)
    finally:
        server.kill()


def announced(authority, binary):
    """By way of a proxy, and with keys that DNS has before they are used."""
    login = "Basic " + base64.b64encode(b"mail:pass word").decode()
    proxy = ConnectProxy(login)
    more = f'http_address = "127.0.0.1:{authority.http}"\nkeys = "announced"\n'
    outgoing = f'\n[outgoing]\nproxy = "http://mail:pass%20word@127.0.0.1:{proxy.port}"\n'
    server = started(authority, binary, outgoing + authority.config("http-01", ["mx.a.test"], more))
    try:
        certified(server, ["mx.a.test"])
        assert proxy.asked and set(proxy.asked) == {f"127.0.0.1:{authority.port}"}, proxy.asked
        assert "pass word" not in server.log() and login not in server.log()
        before = keys(server, "mx.a.test")
        assert len(before) == 2 and before[0] == spki(server, "mx.a.test"), before
        text = server.config.read_text()
        server.config.write_text(text.replace('["mx.a.test"]', '["mx.a.test", "mx2.a.test"]'))
        server.command("reload")
        certified(server, ["mx.a.test", "mx2.a.test"])
        after = keys(server, "mx.a.test")
        assert spki(server, "mx.a.test") == before[1] == after[0], "the key was announced"
        assert len(after) == 2 and after[1] not in before
        assert keys(server, "mx2.a.test") == after
        proxy.close()
    finally:
        server.kill()


def keys(server, host):
    """The hashes of the TLSA records that are to be published for a host."""
    lines = [line.split() for line in server.command("dns").splitlines()]
    found = [words for words in lines if words[:1] == [f"_25._tcp.{host}."]]
    assert all(words[2:7] == ["IN", "TLSA", "3", "1", "1"] for words in found), found
    return [words[7] for words in found]


def spki(server, name):
    """The hash of the key that the server shows."""
    with socket.create_connection((server.host, server.ports["imaps"]), 20) as plain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain, server_hostname=name) as stream:
            der = stream.getpeercert(True)
    public = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-pubkey"], input=der, capture_output=True,
                            check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=public, capture_output=True,
                         check=True).stdout
    return hashlib.sha256(der).hexdigest()


def external_account(binary):
    key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    authority = Authority(("kid-1", key))
    file = authority.folder / "eab"
    file.write_text(key)
    http_address = f'http_address = "127.0.0.1:{authority.http}"\n'
    more = f'{http_address}eab_key_id = "kid-1"\neab_key_file = "{file}"\n'
    try:
        server = started(authority, binary, authority.config("http-01", ["mx.a.test"], more))
        try:
            certified(server, ["mx.a.test"])
        finally:
            server.kill()
    finally:
        authority.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/debug/mailserver")
    binary = parser.parse_args().binary
    missing = [tool for tool in ("pebble", "pebble-challtestsrv", "curl", "openssl") if not shutil.which(tool)]
    if missing:
        if os.environ.get("MAILCORE_REQUIRE_TOOLS"):
            sys.exit(f"missing: {missing}")
        print(f"   missing: {missing}: skipped")
        return
    for scenario in (tls_alpn, http, dns, changed, announced):
        authority = Authority()
        try:
            began = time.monotonic()
            scenario(authority, binary)
            print(f"   {scenario.__name__}: {time.monotonic() - began:.1f} s")
        except BaseException:
            print(authority.log()[-4000:])
            raise
        finally:
            authority.stop()
    external_account(binary)
    print("   external_account")


if __name__ == "__main__":
    main()
