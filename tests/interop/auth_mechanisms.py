#!/usr/bin/env python3
"""Logins of real clients by each SASL mechanism against the mailserver binary: gsasl,
msmtp, swaks, curl, mbsync, fetchmail and Python's own libraries.

    python3 tests/interop/auth_mechanisms.py --binary target/debug/mailserver [--only NAME]"""

import imaplib
import os
import pathlib
import poplib
import smtplib
import ssl
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from run import TLS, play, run, swaks  # noqa: E402
from server import PASSWORD, Server, need  # noqa: E402

HIDDEN = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1"]
LEGACY = ["CRAM-MD5", "NTLM"]
SHOWN = ["PLAIN", "LOGIN"]
# Each mechanism is shown a wrong password: more than one address may guess.
CONFIG = f"\n[auth]\nmechanisms = {HIDDEN + SHOWN + LEGACY}\n[pop3]\napop = true\n[abuse]\nexempt = ['127.0.0.1']\n".replace("'", '"')
MESSAGE = "Subject: by {}\r\n\r\nhello\r\n"


def login(server):
    return f"user@{server.domain}"


def allow_legacy(server):
    """What CRAM-MD5 and NTLM need is kept from the next change of the password on."""
    server.command("account", "mechanisms", login(server), "--allow", "cram-md5,apop,ntlm")
    server.command("account", "password", login(server), "--password-stdin", stdin=PASSWORD)


def announced(server):
    """What each protocol says within TLS."""
    client = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=TLS)
    by_imap = [name[5:] for name in client.capabilities if name.startswith("AUTH=")]
    client.logout()
    with smtplib.SMTP_SSL(server.host, server.ports["submissions"], context=TLS) as smtp:
        smtp.ehlo()
        by_smtp = smtp.esmtp_features["auth"].split()
    pop = poplib.POP3_SSL(server.host, server.ports["pop3s"], context=TLS)
    by_pop3 = pop.capa()["SASL"]
    pop.quit()
    return by_imap, by_smtp, by_pop3


def test_what_is_announced(server):
    # What no account has is not announced.
    for names in announced(server):
        assert names == HIDDEN + SHOWN, names
    allow_legacy(server)
    for names in announced(server):
        assert names == HIDDEN + SHOWN + LEGACY, names
    clear = imaplib.IMAP4(server.host, server.ports["imap"])
    assert "LOGINDISABLED" in clear.capabilities
    assert not [name for name in clear.capabilities if name.startswith("AUTH=")]
    clear.logout()
    with smtplib.SMTP(server.host, server.ports["submission"]) as smtp:
        smtp.ehlo()
        assert "auth" not in smtp.esmtp_features


def test_what_is_announced_unless_it_is_listed(binary):
    with Server(binary, "usual.test", []) as server:
        by_imap, by_smtp, by_pop3 = announced(server)
        assert by_imap == by_smtp == HIDDEN + SHOWN, (by_imap, by_smtp)
        # mutt would begin the bound ones and lose its place.
        assert by_pop3 == HIDDEN[2:] + SHOWN, by_pop3


def gsasl(server, mechanism, password=PASSWORD):
    # It says that it could bind wherever it could, and is taken at its word: a
    # mechanism without binding is then none that it was offered.
    binding = [] if mechanism.endswith("-PLUS") else ["--no-cb"]
    done = subprocess.run(
        ["gsasl", *binding, "--client", f"--connect={server.host}:{server.ports['imap']}", "--imap", "--starttls",
         "--x509-ca-file=", f"--mechanism={mechanism}", f"--authentication-id={login(server)}",
         f"--password={password}", "--hostname=localhost", "--service=imap"],
        input="", capture_output=True, text=True, timeout=60)
    return "finished" in done.stderr, done.stdout + done.stderr


def test_gsasl(server):
    """By IMAP: by SMTP it asks for STARTTLS before it has said EHLO."""
    if not need("gsasl"):
        return
    for mechanism in HIDDEN + SHOWN:
        ok, said = gsasl(server, mechanism)
        assert ok, f"{mechanism}: {said}"
        ok, said = gsasl(server, mechanism, "wrong")
        assert not ok, f"{mechanism}: {said}"


def msmtp(server, mechanism, password=PASSWORD):
    return subprocess.run(
        ["msmtp", f"--host={server.host}", f"--port={server.ports['submissions']}", "--tls=on", "--tls-starttls=off",
         "--tls-certcheck=off", f"--auth={mechanism.lower()}", f"--user={login(server)}",
         f"--passwordeval=echo '{password}'", f"--from={login(server)}", login(server)],
        input=MESSAGE.format(mechanism), capture_output=True, text=True, timeout=60)


def test_msmtp(server):
    if not need("msmtp"):
        return
    allow_legacy(server)
    for mechanism in [*HIDDEN[2:], *SHOWN, "CRAM-MD5"]:
        done = msmtp(server, mechanism)
        assert done.returncode == 0, f"{mechanism}: {done.stderr}"
        assert msmtp(server, mechanism, "wrong").returncode != 0, mechanism
    # Its NTLM is version 1.
    assert msmtp(server, "NTLM").returncode != 0


def test_swaks(server):
    if not need("swaks"):
        return
    allow_legacy(server)
    for mechanism in [*SHOWN, "CRAM-MD5"]:
        words = ["--tls-on-connect", "--from", login(server), "--to", login(server), "--auth", mechanism,
                 "--auth-user", login(server), "--auth-password", PASSWORD]
        swaks(server, "submissions", *words)


def test_curl(server):
    if not need("curl"):
        return
    allow_legacy(server)
    for mechanism in [*SHOWN, *LEGACY]:
        auth = ["curl", "-sS", "-k", "--max-time", "60", "--login-options", f"AUTH={mechanism}",
                "--user", f"{login(server)}:{PASSWORD}"]
        run(*auth, f"imaps://{server.host}:{server.ports['imaps']}/")
        run(*auth, f"pop3s://{server.host}:{server.ports['pop3s']}/")
        run(*auth, f"smtps://{server.host}:{server.ports['submissions']}", "--mail-from", login(server),
            "--mail-rcpt", login(server), "-T", "-", stdin=MESSAGE.format(mechanism))
        auth[-1] = f"{login(server)}:wrong"
        refused = subprocess.run([*auth, f"imaps://{server.host}:{server.ports['imaps']}/"], capture_output=True)
        assert refused.returncode == 67, (mechanism, refused)
    # APOP, which curl does by itself where the greeting has a timestamp and nothing else is asked for.
    run("curl", "-sS", "-k", "--max-time", "60", "--login-options", "AUTH=+APOP", "--user",
        f"{login(server)}:{PASSWORD}", f"pop3s://{server.host}:{server.ports['pop3s']}/")


def test_mbsync(server):
    if not need("mbsync"):
        return
    with tempfile.TemporaryDirectory(prefix="mbsync-") as name:
        home = pathlib.Path(name)
        (home / "cert.pem").write_text(ssl.get_server_certificate((server.host, server.ports["imaps"])))
        (home / "Mail").mkdir()
        for mechanism in HIDDEN[2:]:
            (home / "rc").write_text(
                f"IMAPAccount a\nHost {server.host}\nPort {server.ports['imaps']}\nUser {login(server)}\n"
                f'Pass "{PASSWORD}"\nSSLType IMAPS\nCertificateFile {home}/cert.pem\nAuthMechs {mechanism}\n\n'
                "IMAPStore far\nAccount a\n\n"
                f"MaildirStore near\nPath {home}/Mail/\nInbox {home}/Mail/INBOX\nSubFolders Verbatim\n\n"
                "Channel c\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSyncState *\n")
            run("mbsync", "-c", str(home / "rc"), "-a")


def test_fetchmail(server):
    if not need("fetchmail"):
        return
    allow_legacy(server)
    with tempfile.TemporaryDirectory(prefix="fetchmail-") as name:
        rc = pathlib.Path(name) / "rc"
        environment = {**os.environ, "HOME": name, "FETCHMAILHOME": name}
        for protocol, port in (("IMAP", "imaps"), ("POP3", "pop3s")):
            for mechanism in ("cram-md5", "password"):
                if (protocol, mechanism) == ("POP3", "cram-md5"):
                    protocol, mechanism = "APOP", "any"
                rc.write_text(
                    f"poll {server.host} service {server.ports[port]} protocol {protocol} auth {mechanism}\n"
                    f"  user \"{login(server)}\" password \"{PASSWORD}\" ssl no sslcertck mda \"/bin/cat > /dev/null\"\n")
                rc.chmod(0o600)
                # With --check nothing is fetched; 1 says that there is nothing.
                done = subprocess.run(["fetchmail", "-f", str(rc), "--nodetach", "--nosyslog", "--check"],
                                      capture_output=True, text=True, timeout=60, env=environment)
                assert done.returncode in (0, 1), f"{protocol} {mechanism}: {done.stdout}{done.stderr}"
                protocol = "POP3" if protocol == "APOP" else protocol


def test_python(server):
    allow_legacy(server)
    client = imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=TLS)
    assert client.login_cram_md5(login(server), PASSWORD)[0] == "OK"
    client.logout()
    with smtplib.SMTP_SSL(server.host, server.ports["submissions"], context=TLS) as smtp:
        smtp.login(login(server), PASSWORD)
    pop = poplib.POP3_SSL(server.host, server.ports["pop3s"], context=TLS)
    assert pop.apop(login(server), PASSWORD).startswith(b"+OK")
    pop.quit()


if __name__ == "__main__":
    play(__doc__, globals(), "auth.test", ["user"], CONFIG)
