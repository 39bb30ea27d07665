"""testssl.sh and sslscan on every port, in clear and within TLS: nothing old, nothing weak. By hand: it takes minutes.

    apt-get install testssl.sh sslscan
    python3 tests/interop/tls_scan.py --binary target/release/mailserver
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from server import Server

STARTTLS = {"smtp": "smtp", "submission": "smtp", "imap": "imap", "pop3": "pop3"}
# What a certificate of a test's own making, in no public DNS, can't have.
OF_THE_CERTIFICATE = ("cert", "DNS", "OCSP", "ocsp", "scanTime", "overall", "grade", "final", "CAA", "key_usage",
                      "intermediate", "HSTS", "trust", "chain", "service", "optimal", "pre_")
# The scanner's own openssl; and the order of suites is the client's, who knows whether it has AES in hardware: all
# that it can choose from are strong.
NO_FAULT = ("engine_problem", "cipher_order")
FINE = {"OK", "INFO", "DEBUG", "LOW"}


def testssl(server, port):
    out = pathlib.Path(tempfile.mkdtemp()) / "out.json"
    command = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--jsonfile", str(out), "-p", "-s", "-f",
               "-U", "-P"]
    if port in STARTTLS:
        command += ["--starttls", STARTTLS[port]]
    command.append(f"{server.host}:{server.ports[port]}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    findings = json.loads(out.read_text())
    assert len(findings) > 10, done.stdout[-2000:]
    bad = [it for it in findings if it["severity"] not in FINE and not it["id"].startswith(OF_THE_CERTIFICATE + NO_FAULT)]
    return [f"{it['id']}: {it['severity']}: {it['finding']}" for it in bad], len(findings)


def sslscan(server, port):
    command = ["sslscan", "--no-colour", "--no-check-certificate"]
    if port in STARTTLS:
        command.append(f"--starttls-{STARTTLS[port]}")
    command.append(f"{server.host}:{server.ports[port]}")
    text = subprocess.run(command, capture_output=True, text=True, timeout=600).stdout
    suites = [line.split() for line in text.splitlines() if line.startswith(("Preferred", "Accepted"))]
    assert suites, text
    bad = []
    for words in suites:
        version, name = words[1], words[4]
        if version not in ("TLSv1.2", "TLSv1.3"):
            bad.append(f"{version} {name}")
        if version == "TLSv1.2" and not (name.startswith("ECDHE-") and ("GCM" in name or "CHACHA20" in name)):
            bad.append(f"{version} {name}")
    for version in ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"):
        if f"{version}   enabled" in text:
            bad.append(f"{version} enabled")
    return bad, len(suites)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/debug/mailserver")
    arguments = parser.parse_args()
    for tool in ("testssl", "sslscan"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing")
    server = Server(arguments.binary, "a.test", ["ann"]).start()
    failed = False
    try:
        for port in server.ports:
            for scan in (sslscan, testssl):
                bad, seen = scan(server, port)
                failed |= bool(bad)
                print(f"{port:<12} {scan.__name__:<8} {seen} findings, {len(bad)} bad", flush=True)
                for line in bad:
                    print(f"   {line}")
    finally:
        server.kill()
    sys.exit(failed)


if __name__ == "__main__":
    main()
