#!/usr/bin/env python3
"""What `mailserver dns` prints, published: the lines are put into zones as they are, knot serves them, and dig, the
server's own resolver and the certificates that the server shows say whether they are right.

    python3 tests/interop/dns_records.py --binary target/debug/mailserver"""

import argparse
import hashlib
import pathlib
import shutil
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from peer import TLS  # noqa: E402
from server import Server, free_port, need  # noqa: E402

KNOT = """
server:
    rundir: "{base}/run"
    listen: 127.0.0.1@{port}
database:
    storage: "{base}/keys"
log:
  - target: stderr
    any: warning
zone:
"""
APEX = """$ORIGIN {zone}.
@ 3600 IN SOA ns hostmaster 1 3600 900 604800 300
@ 3600 IN NS ns
ns 3600 IN A 127.0.0.1
"""


class NameServer:
    """knot with these zones."""

    def __init__(self, zones):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dns-"))
        self.port = free_port()
        config = KNOT.format(base=self.folder, port=self.port)
        for zone, lines in zones.items():
            file = self.folder / f"{zone}.zone"
            file.write_text(APEX.format(zone=zone) + "\n".join(lines) + "\n")
            config += f'  - domain: {zone}\n    file: "{file}"\n    semantic-checks: on\n'
        (self.folder / "run").mkdir()
        (self.folder / "knot.conf").write_text(config)
        for zone in zones:
            checked = subprocess.run(["knotc", "-c", self.folder / "knot.conf", "zone-check", zone],
                                     capture_output=True, text=True)
            assert checked.returncode == 0, (checked.stderr, (self.folder / f"{zone}.zone").read_text())
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(["knotd", "-c", self.folder / "knot.conf"], stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self.answers(next(iter(zones)), "SOA"):
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.1)

    def answers(self, name, kind):
        done = subprocess.run(["dig", "@127.0.0.1", "-p", str(self.port), "+short", "+time=1", "+tries=1", name, kind],
                              capture_output=True, text=True)
        lines = done.stdout.splitlines()
        return sorted(line for line in lines if not line.startswith(";"))

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)


def certify(folder, name, names):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-days", "90", "-subj",
                    f"/CN={names[0]}", "-addext", "subjectAltName=" + ",".join(f"DNS:{it}" for it in names)],
                   check=True, capture_output=True)


def tlsa(pem):
    """`3 1 1` of a certificate, as OpenSSL has it."""
    public = subprocess.run(["openssl", "x509", "-noout", "-pubkey"], input=pem, capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=public, capture_output=True,
                         check=True).stdout
    return hashlib.sha256(der).hexdigest().upper()


def shown(server, name):
    """The certificate that a host sees which delivers mail and asks for `name`."""
    client = smtplib.SMTP(server.host, server.ports["smtp"], timeout=20)
    # The name that STARTTLS asks for.
    client._host = name
    client.starttls(context=TLS)
    pem = ssl.DER_cert_to_PEM_cert(client.sock.getpeercert(True)).encode()
    client.close()
    return pem


def joined(lines):
    """TLSA data as dig writes it, in pieces, in one."""
    return [" ".join(line.split(" ", 3)[:3]) + " " + line.split(" ", 3)[3].replace(" ", "") for line in lines]


def published(server):
    """The lines for each zone."""
    zones = {"a.test": [], "xn--bcher-kva.test": [], "mx.b.test": []}
    for line in server.command("dns").splitlines():
        if not line or line.startswith(";"):
            continue
        owner = line.split(" ")[0].rstrip(".")
        fitting = [zone for zone in zones if owner == zone or owner.endswith("." + zone)]
        assert fitting, f"whose is {line}?"
        zones[max(fitting, key=len)].append(line)
    return zones


def check(binary):
    port = free_port()
    more = ('\n[tls]\ncertificate = "first.pem"\nkey = "first.key"\n[[tls.certificates]]\ncertificate = "second.pem"\n'
            'key = "second.key"\n[[mta_sts]]\ndomain = "a.test"\nmode = "enforce"\nmx = ["mx.a.test"]\n')
    folder = pathlib.Path(tempfile.mkdtemp(prefix="keys-"))
    certify(folder, "first", ["mx.a.test", "*.a.test"])
    certify(folder, "second", ["mx.b.test"])
    certify(folder, "next", ["mx.a.test"])
    more = more.replace('"first.', f'"{folder}/first.').replace('"second.', f'"{folder}/second.')
    server = Server(binary, "a.test", ["ann"], dns=f"127.0.0.1:{port}", extra=more)
    server.command("domain", "add", "b\u00fccher.test")
    names = None
    with server:
        zones = published(server)
        here = ["mx 3600 IN A 127.0.0.1", "smtp 3600 IN A 127.0.0.1"]
        zones["a.test"] += here
        zones["mx.b.test"] += ["@ 3600 IN A 127.0.0.1"]
        try:
            names = NameServer(zones)
            for domain in ("a.test", "xn--bcher-kva.test"):
                assert names.answers(domain, "MX") == ["10 mx.a.test."]
                assert names.answers(domain, "TXT") == ['"v=spf1 mx -all"']
                reports = f"mailto:postmaster@{domain}"
                assert names.answers(f"_dmarc.{domain}", "TXT") == [f'"v=DMARC1; p=none; rua={reports}"'], \
                    names.answers(f"_dmarc.{domain}", "TXT")
                assert names.answers(f"_smtp._tls.{domain}", "TXT") == [f'"v=TLSRPTv1; rua={reports}"']
                for service, place in (("imaps", "imaps"), ("submissions", "submissions"), ("pop3s", "pop3s")):
                    wanted = [f"0 1 {server.ports[place]} mx.a.test."]
                    assert names.answers(f"_{service}._tcp.{domain}", "SRV") == wanted
            policy = names.answers("_mta-sts.a.test", "TXT")
            assert len(policy) == 1 and policy[0].startswith('"v=STSv1; id=') and policy[0].endswith(';"'), policy
            assert names.answers("mta-sts.a.test", "CNAME") == ["mx.a.test."]
            assert names.answers("_mta-sts.xn--bcher-kva.test", "TXT") == []
            for host in ("mx.a.test", "mx.b.test"):
                found = joined(names.answers(f"_25._tcp.{host}", "TLSA"))
                assert found == [f"3 1 1 {tlsa(shown(server, host))}"], (host, found)
            assert tlsa(shown(server, "mx.a.test")) != tlsa(shown(server, "mx.b.test"))
            both = server.command("dns", "--next-key", str(folder / "next.key"))
            assert tlsa((folder / "next.pem").read_bytes()).lower() in both and both.count("TLSA 3 1 1") >= 3, both
            # The server's own resolver finds itself by them.
            text = server.config.read_text()
            server.config.write_text(text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{names.port}"))
            told = subprocess.run([server.binary, "check-config", "--dns", "--config", str(server.config)],
                                  capture_output=True, text=True, cwd=server.folder, timeout=60)
            assert "b\u00fccher" not in told.stderr and "MX" not in told.stderr, told.stderr
        finally:
            if names:
                names.stop()
    shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/debug/mailserver")
    binary = parser.parse_args().binary
    if all([need(tool) for tool in ("knotd", "knotc", "dig", "openssl")]):
        began = time.monotonic()
        check(binary)
        print(f"   every record is as it should be: {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
