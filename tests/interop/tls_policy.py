#!/usr/bin/env python3
"""What other hosts must show before they get mail: DANE, MTA-STS and REQUIRETLS
against Postfix, with zones that knot signs and policies from a web server.

    sudo python3 tests/interop/tls_policy.py --binary target/debug/mailserver

Needs root, for a network of its own in which ports 25, 53 and 443 are free;
there everything is on loopback and nothing leaves the machine."""

import argparse
import hashlib
import http.server
import json
import os
import pathlib
import smtplib
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from server import PASSWORD, Server, need  # noqa: E402

TOOLS = ["unshare", "ip", "openssl", "knotd", "keymgr", "postfix"]
TLS = ssl.create_default_context()
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE

DNS, WEB = "127.0.0.1", "127.0.0.8"
# Our server by its name; resolvers answer for addresses of loopback themselves.
OWN = "192.0.2.9"
# Each smtpd of Postfix by what it has: a certificate of the authority, one of
# nobody's, none.
GOOD, UNTRUSTED, PLAIN = "127.0.0.5", "127.0.0.6", "127.0.0.7"

# Domain: its host, the host's TLSA record, its MTA-STS policy (mode, mx).
DOMAINS = {
    "dane.test": (GOOD, "right", None),
    "wrongtlsa.test": (GOOD, "wrong", None),
    "plaintlsa.test": (PLAIN, "right", None),
    "sts.test": (GOOD, None, ("enforce", "mx.sts.test")),
    "badcert.test": (UNTRUSTED, None, ("enforce", "mx.badcert.test")),
    "plainsts.test": (PLAIN, None, ("enforce", "*.plainsts.test")),
    "badmx.test": (GOOD, None, ("enforce", "other.badmx.test")),
    "testing.test": (GOOD, None, ("testing", "other.testing.test")),
    # DANE outranks MTA-STS: this certificate satisfies only the TLSA record.
    "both.test": (UNTRUSTED, "right", ("enforce", "mx.both.test")),
    "lifted.test": (UNTRUSTED, None, ("enforce", "mx.lifted.test")),
    "insecure.test": (PLAIN, None, None),
    "bogus.test": (GOOD, None, None),
}

KNOT = """
server:
    rundir: "{base}/run"
    listen: {dns}@53
database:
    storage: "{base}/keys"
log:
  - target: stderr
    any: warning
policy:
  - id: test
    algorithm: ecdsap256sha256
    single-type-signing: on
    ksk-lifetime: 0
zone:
  - domain: .
    file: "{base}/root.zone"
    dnssec-signing: on
    dnssec-policy: test
    zonefile-sync: -1
    journal-content: none
  - domain: insecure.test
    file: "{base}/insecure.test.zone"
  - domain: bogus.test
    file: "{base}/bogus.test.zone"
"""

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {base}/queue
data_directory = {base}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = peer.test
mydestination = {domains}
mynetworks =
inet_interfaces = {good} {untrusted} {plain}
inet_protocols = ipv4
local_recipient_maps =
mailbox_transport = discard
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
maillog_file = {base}/log
maillog_file_prefixes = {base}
alias_maps =
alias_database =
"""

MASTER_CF = """
{good}:25       inet  n  -  n  -  -  smtpd -o smtpd_tls_chain_files={base}/good.pem
{untrusted}:25  inet  n  -  n  -  -  smtpd -o smtpd_tls_chain_files={base}/untrusted.pem
{plain}:25      inet  n  -  n  -  -  smtpd -o smtpd_tls_security_level=none
cleanup   unix       n  -  n  -  0  cleanup
qmgr      unix       n  -  n  300  1  qmgr
tlsmgr    unix       -  -  n  1000?  1  tlsmgr
rewrite   unix       -  -  n  -  -  trivial-rewrite
bounce    unix       -  -  n  -  0  bounce
defer     unix       -  -  n  -  0  bounce
trace     unix       -  -  n  -  0  bounce
local     unix       -  n  n  -  -  local
discard   unix       -  -  n  -  -  discard
proxymap  unix       -  -  n  -  -  proxymap
anvil     unix       -  -  n  -  1  anvil
postlog   unix-dgram n  -  n  -  1  postlogd
"""

OURS = """
[outgoing]
loopback = true

[outgoing_tls]
own_network = true
roots = "{base}/ca.pem"
"""


def run(*words, stdin=None):
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def until(what, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"in {seconds} seconds: {what} did not happen")


class World:
    """The other side: names, hosts, policies, all under `base`."""

    def __init__(self, base):
        self.base = base
        base.chmod(0o755)
        self.certificates()
        self.names()
        self.hosts()
        self.web()

    def certificates(self):
        names = [f"DNS:{host}.{domain}" for domain in DOMAINS for host in ("mx", "mta-sts")]
        (self.base / "names").write_text("subjectAltName=" + ",".join(names))
        make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", "2"]
        run(*make, "-subj", "/CN=ca.test", "-keyout", f"{self.base}/ca.key", "-out", f"{self.base}/ca.pem")
        run(*make, "-subj", "/CN=untrusted", "-addext", (self.base / "names").read_text(),
            "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", f"{self.base}/untrusted.key", "-out", f"{self.base}/untrusted.crt")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
            "/CN=good", "-keyout", f"{self.base}/good.key", "-out", f"{self.base}/good.csr")
        run("openssl", "x509", "-req", "-in", f"{self.base}/good.csr", "-CA", f"{self.base}/ca.pem", "-CAkey",
            f"{self.base}/ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{self.base}/names", "-out",
            f"{self.base}/good.crt")
        for name in ("good", "untrusted"):
            both = (self.base / f"{name}.key").read_text() + (self.base / f"{name}.crt").read_text()
            (self.base / f"{name}.pem").write_text(both)

    def tlsa(self, name):
        """The digest of a certificate's key, for records `3 1 1`."""
        key = run("openssl", "x509", "-in", f"{self.base}/{name}.crt", "-pubkey", "-noout")
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=key.encode(),
                             capture_output=True, check=True).stdout
        return hashlib.sha256(der).hexdigest()

    def names(self):
        right = {GOOD: self.tlsa("good"), UNTRUSTED: self.tlsa("untrusted"), PLAIN: self.tlsa("good")}
        start = "$TTL 300\n@ SOA ns.test. hostmaster.test. 1 3600 600 86400 60\n@ NS ns.test.\n"
        root = start + f"ns.test. A {DNS}\nmx.own.test. A {OWN}\nown.test. MX 10 mx.own.test.\n"
        root += "9.2.0.192.in-addr.arpa. PTR mx.own.test.\n"
        for domain, (address, tlsa, sts) in DOMAINS.items():
            records = f"{domain}. MX 10 mx.{domain}.\nmx.{domain}. A {address}\n"
            if tlsa:
                digest = right[address] if tlsa == "right" else "00" * 32
                records += f"_25._tcp.mx.{domain}. TLSA 3 1 1 {digest}\n"
            if sts:
                records += f'_mta-sts.{domain}. TXT "v=STSv1; id=1"\nmta-sts.{domain}. A {WEB}\n'
            if domain in ("insecure.test", "bogus.test"):
                (self.base / f"{domain}.zone").write_text(start + records)
                records = f"{domain}. NS ns.test.\n"
                if domain == "bogus.test":
                    # Said to be signed, and it is not.
                    records += f"{domain}. DS 1 13 2 {'00' * 32}\n"
            root += records
        (self.base / "root.zone").write_text(root)
        for folder in ("run", "keys"):
            (self.base / folder).mkdir()
        config = self.base / "knot.conf"
        config.write_text(KNOT.format(base=self.base, dns=DNS))
        with open(self.base / "knot.log", "wb") as log:
            self.knot = subprocess.Popen(["knotd", "-c", str(config)], stdout=log, stderr=log)

        def keys():
            done = subprocess.run(["keymgr", "-c", str(config), ".", "dnskey"], capture_output=True, text=True)
            return "DNSKEY" in done.stdout and done.stdout
        (self.base / "anchor").write_text(until("signing the root", keys))

    def hosts(self):
        for address in (GOOD, UNTRUSTED, PLAIN, WEB):
            run("ip", "address", "add", f"{address}/8", "dev", "lo")
        for folder in ("queue", "data"):
            (self.base / folder).mkdir()
        run("chown", "postfix", str(self.base / "data"))
        values = {"base": self.base, "good": GOOD, "untrusted": UNTRUSTED, "plain": PLAIN,
                  "domains": ", ".join(DOMAINS)}
        (self.base / "main.cf").write_text(MAIN_CF.format(**values))
        (self.base / "master.cf").write_text(MASTER_CF.format(**values))
        with open(self.base / "postfix.out", "wb") as log:
            # Its daemons would hold a pipe open.
            started = subprocess.run(["postfix", "-c", str(self.base), "start"], stdout=log, stderr=log)
        assert started.returncode == 0, (self.base / "postfix.out").read_text()

    def web(self):
        policies = {f"mta-sts.{domain}": sts for domain, (_, _, sts) in DOMAINS.items() if sts}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                sts = policies.get(self.headers["Host"])
                good = sts and self.path == "/.well-known/mta-sts.txt"
                text = f"version: STSv1\r\nmode: {sts[0]}\r\nmx: {sts[1]}\r\nmax_age: 86400\r\n" if good else ""
                self.send_response(200 if good else 404)
                self.send_header("Content-Type", "text/plain")
                # Without it only a proper end of TLS tells that nothing was cut
                # off (RFC 9112 section 9.8), and Python does not send that.
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer((WEB, 443), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.base / "good.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def log(self):
        log = self.base / "log"
        return log.read_text(errors="replace") if log.exists() else ""

    def took(self, domain):
        """True once Postfix has accepted the message to this domain."""
        return f"to=<bob@{domain}>" in self.log() or f"message-id=<1@{domain}>" in self.log()


def send(server, domain, options=(), header=""):
    with smtplib.SMTP_SSL(server.host, server.ports["submissions"], context=TLS) as smtp:
        smtp.login("alice@own.test", PASSWORD)
        text = f"From: alice@own.test\r\nMessage-ID: <1@{domain}>\r\n{header}Subject: to {domain}\r\n\r\nhello\r\n"
        smtp.sendmail("alice@own.test", [f"bob@{domain}"], text, mail_options=list(options))


def logged(server, domain, words):
    """Waits until the log says so of the delivery to this domain."""
    def found():
        return any(words in line for line in server.log().splitlines() if f"hop={domain} " in line)
    until(f"saying \"{words}\" of {domain}", found, 10)


def last_failure(server, domain):
    """Why the message to this domain waits."""
    for line in server.command("queue", "list").splitlines():
        if f"bob@{domain}" in line:
            shown = server.command("queue", "show", line.split()[0])
            if "last failure" in shown:
                return shown.split("last failure", 1)[1].strip()
    return None


def delivered(world, server, domain, **how):
    send(server, domain, **how)
    until(f"taking mail for {domain}", lambda: world.took(domain))


def deferred(world, server, domain, words, **how):
    send(server, domain, **how)
    why = until(f"deferring mail for {domain}", lambda: last_failure(server, domain))
    assert words in why and "4.7." in why, f"{domain}: {why}"
    assert not world.took(domain), f"{domain} got mail"


def counts(server, domain):
    """The day's report: by policy, successes and failures by result type."""
    report = json.loads(server.command("tls-report", domain))
    return {policy["policy"]["policy-type"]: (
        policy["summary"]["total-successful-session-count"],
        {failure["result-type"]: failure["failed-session-count"] for failure in policy["failure-details"]})
        for policy in report["policies"]}


def test_dane_that_fits(world, server):
    delivered(world, server, "dane.test")
    logged(server, "dane.test", "verified by DANE")
    assert counts(server, "dane.test") == {"tlsa": (1, {})}


def test_dane_that_does_not_fit(world, server):
    deferred(world, server, "wrongtlsa.test", "TLSA")
    assert counts(server, "wrongtlsa.test") == {"tlsa": (0, {"tlsa-invalid": 1})}


def test_dane_at_a_host_without_tls(world, server):
    deferred(world, server, "plaintlsa.test", "TLS")
    assert counts(server, "plaintlsa.test") == {"tlsa": (0, {"starttls-not-supported": 1})}


def test_policy_that_is_kept(world, server):
    delivered(world, server, "sts.test")
    logged(server, "sts.test", "verified by MTA-STS")
    assert counts(server, "sts.test") == {"sts": (1, {})}


def test_policy_and_a_certificate_of_nobody_s(world, server):
    deferred(world, server, "badcert.test", "certificate")
    assert counts(server, "badcert.test") == {"sts": (0, {"certificate-not-trusted": 1})}


def test_policy_and_a_host_without_tls(world, server):
    deferred(world, server, "plainsts.test", "TLS")


def test_policy_that_does_not_name_the_host(world, server):
    deferred(world, server, "badmx.test", "MTA-STS")


def test_policy_that_is_being_tested(world, server):
    delivered(world, server, "testing.test")
    assert counts(server, "testing.test") == {"sts": (0, {"validation-failure": 1})}


def test_dane_before_a_policy(world, server):
    delivered(world, server, "both.test")
    logged(server, "both.test", "verified by DANE")


def test_signatures_that_are_missing(world, server):
    deferred(world, server, "bogus.test", "DNSSEC")


def test_a_message_that_asks_for_tls(world, server):
    """REQUIRETLS and a host that nobody vouches for: back to the sender at once."""
    send(server, "insecure.test", options=["REQUIRETLS"])
    until("the notice", lambda: "5.7.10 neither DNSSEC nor MTA-STS" in server.log())
    assert not world.took("insecure.test"), "it went out all the same"


def test_a_message_that_asks_for_no_tls(world, server):
    delivered(world, server, "lifted.test", header="TLS-Required: No\r\n")


def test_a_host_that_asks_for_nothing(world, server):
    delivered(world, server, "insecure.test")


def test_the_server_s_own_name(world, server):
    assert "DNS knows this server by its name" in server.command("check-config", "--dns")
    assert "the server's name in DNS" not in server.log()
    server.command("domain", "add", "stray.test")
    try:
        told = server.command("check-config", "--dns")
    except AssertionError as error:
        told = str(error)
    assert "stray.test has no MX record; add one with mx.own.test" in told, told


def test_counts_that_wait_at_a_shutdown(world, server):
    server.stop()
    kept = counts(server, "insecure.test")
    server.start()
    until("a warning of the domain that leads elsewhere",
          lambda: "the server's name in DNS: stray.test has no MX record" in server.log())
    assert kept["no-policy-found"] == (0, {"starttls-not-supported": 1}), kept


TESTS = [
    test_dane_that_fits,
    test_dane_that_does_not_fit,
    test_dane_at_a_host_without_tls,
    test_policy_that_is_kept,
    test_policy_and_a_certificate_of_nobody_s,
    test_policy_and_a_host_without_tls,
    test_policy_that_does_not_name_the_host,
    test_policy_that_is_being_tested,
    test_dane_before_a_policy,
    test_signatures_that_are_missing,
    test_a_message_that_asks_for_tls,
    test_a_message_that_asks_for_no_tls,
    test_a_host_that_asks_for_nothing,
    test_the_server_s_own_name,
    test_counts_that_wait_at_a_shutdown,
]


def tests(binary):
    run("ip", "link", "set", "lo", "up")
    failed = []
    with tempfile.TemporaryDirectory(prefix="tls-policy-") as folder:
        base = pathlib.Path(folder)
        world = World(base)
        validate = f'dnssec = "validate"\ntrust_anchor = "{base}/anchor"\n'
        with Server(binary, "own.test", ["alice"], dns=f"{DNS}:53", dns_keys=validate,
                    extra=OURS.format(base=base)) as server:
            for test in TESTS:
                started = time.monotonic()
                try:
                    test(world, server)
                    print(f"ok   {test.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
                except Exception:
                    traceback.print_exc()
                    failed.append(test.__name__)
                    print(f"FAIL {test.__name__}", flush=True)
        if failed:
            print(f"--- Postfix\n{world.log()}\n--- knot\n{(base / 'knot.log').read_text()}\n--- ours\n{server.log()}")
    print(f"{len(TESTS) - len(failed)} passed, {len(failed)} failed")
    return bool(failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/debug/mailserver")
    parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.within:
        sys.exit(tests(arguments.binary))
    if not all([need(tool) for tool in TOOLS]):
        return
    if os.geteuid():
        if os.environ.get("MAILCORE_REQUIRE_TOOLS"):
            sys.exit("this needs root")
        print("   this needs root: skipped")
        return
    # A process namespace, too: whatever was started ends with the test.
    own = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    sys.exit(subprocess.run([*own, sys.executable, *sys.argv, "--within"]).returncode)


if __name__ == "__main__":
    main()
