#!/usr/bin/env python3
"""Logins of real clients by every mechanism that they know, over each protocol: a table of who can do what, which
must hold. Tokens come from an authority of the test's own, certificates too.

    python3 tests/interop/auth_mechanisms.py --binary target/debug/mailserver [--only NAME]"""

import concurrent.futures
import imaplib
import pathlib
import poplib
import smtplib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import auth_clients  # noqa: E402
from auth_clients import Refused, User  # noqa: E402
from authority import Authority  # noqa: E402
from certificates import ClientAuthority  # noqa: E402
from run import TLS, play, until  # noqa: E402
from server import PASSWORD, Server, need  # noqa: E402

HIDDEN = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1"]
TOKENS = ["OAUTHBEARER", "XOAUTH2"]
LEGACY = ["CRAM-MD5", "NTLM"]
SHOWN = ["PLAIN", "LOGIN"]
LISTED = HIDDEN + TOKENS + ["EXTERNAL"] + SHOWN + LEGACY
# What each protocol has beside SASL: APOP, and USER with PASS or the command LOGIN, which stand in one column.
COLUMNS = LISTED + ["own", "APOP"]
# Each mechanism is shown a wrong password: more than one address may guess.
CONFIG = f"\n[auth]\nmechanisms = {LISTED}\n[pop3]\napop = true\n[abuse]\nexempt = ['127.0.0.1']\n".replace("'", '"')

SCRAM, EACH = HIDDEN[2:], ["EXTERNAL", *SHOWN, "CRAM-MD5"]
# What the clients can do, as Debian 12 has them. NTLM of the others is version 1, which is not taken; curl speaks
# XOAUTH2 where OAUTHBEARER is not offered (oauth.py).
BY_CURL = ["OAUTHBEARER", *EACH, "NTLM"]
KNOWN = {
    "curl": {"smtp": BY_CURL, "imap": BY_CURL, "pop3": [*BY_CURL, "APOP"]},
    "msmtp": {"smtp": [*SCRAM, *TOKENS, *EACH]},
    "mpop": {"pop3": [*SCRAM, *TOKENS, *EACH, "own", "APOP"]},
    "swaks": {"smtp": [*SHOWN, "CRAM-MD5"]},
    "fetchmail": {"imap": ["EXTERNAL", "CRAM-MD5", "own"], "pop3": ["CRAM-MD5", "own", "APOP"]},
    "getmail": {"imap": ["XOAUTH2", "CRAM-MD5", "own"], "pop3": ["own", "APOP"]},
    "gsasl": {"imap": [*HIDDEN, *EACH]},
    "mbsync": {"imap": [*SCRAM, *EACH, "own"]},
    "mutt": {"smtp": [*SCRAM, *TOKENS, *EACH], "imap": [*SCRAM, *TOKENS, *EACH, "own"],
             "pop3": [*SCRAM, *TOKENS, *EACH, "own", "APOP"]},
    "python": {"smtp": [*SHOWN, "CRAM-MD5"], "imap": [*TOKENS, *EACH, "own"], "pop3": ["own", "APOP"]},
}
NTLM_1 = [("msmtp", "smtp"), ("mpop", "pop3"), ("swaks", "smtp"), ("fetchmail", "imap"), ("fetchmail", "pop3"),
          ("gsasl", "imap"), ("mbsync", "imap"), ("mutt", "smtp")]

AUTHORITY = CERTIFICATES = None


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


def allow_legacy(server, login):
    """What CRAM-MD5 and NTLM need is kept from the next change of the password on."""
    server.command("account", "mechanisms", login, "--allow", "cram-md5,apop,ntlm")
    server.command("account", "password", login, "--password-stdin", stdin=PASSWORD)


def test_what_is_announced(server):
    # What no account has is not announced; nor is EXTERNAL to who shows no certificate.
    for names in announced(server):
        assert names == HIDDEN + TOKENS + SHOWN, names
    allow_legacy(server, f"python@{server.domain}")
    for names in announced(server):
        assert names == HIDDEN + TOKENS + SHOWN + LEGACY, names
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


def user_of(server, client, password=PASSWORD, mechanism=""):
    """Each client has an account of its own, and a certificate only for what needs one."""
    login = f"{client}@{server.domain}"
    certificate = CERTIFICATES.issue(login) if mechanism == "EXTERNAL" else None
    token = AUTHORITY.token(login if password == PASSWORD else "else@auth.test", "ES256")
    return User(server, login, password, token, certificate)


def get_in(server, client, protocol, mechanism):
    """It says that it got in, and the server says so, too."""
    user = user_of(server, client, mechanism=mechanism)
    before = len(server.log())
    getattr(auth_clients, client)(user, protocol, mechanism)
    # SMTP's transcript, which comes with the message, has the mechanism.
    word = f"C: AUTH {mechanism}" if protocol == "smtp" else f"{protocol} login "

    def is_told():
        told = [line for line in server.log()[before:].splitlines() if f"login={user.login}" in line]
        return any(word.lower() in line.lower() for line in told)

    until(f"the log tells of {word}", is_told, 10)


def test_every_mechanism_that_a_client_knows(server):
    failed = []
    print(f"   {'':<10} {'':<5} " + " ".join(COLUMNS))
    for client, protocols in KNOWN.items():
        if client != "python" and not need(client):
            continue
        login = f"{client}@{server.domain}"
        allow_legacy(server, login)
        server.command("account", "certificate", "add", login, f"address:{login}")
        for protocol, names in protocols.items():
            row = []
            for mechanism in COLUMNS:
                cell = "-"
                if mechanism in names:
                    try:
                        get_in(server, client, protocol, mechanism)
                        cell = "yes"
                    except Exception as error:
                        cell = "NO"
                        failed.append((client, protocol, mechanism, error))
                row.append(cell.center(len(mechanism)))
            print(f"   {client:<10} {protocol:<5} {' '.join(row)}", flush=True)
    assert not failed, failed


def refused(server, client, protocol, mechanism, password="wrong"):
    try:
        getattr(auth_clients, client)(user_of(server, client, password), protocol, mechanism)
        return False
    except Refused:
        return True


def test_what_is_wrong_is_refused(server):
    """Each mechanism once over each protocol; and NTLM in its first version."""
    wanted = {}
    for client, protocols in KNOWN.items():
        for protocol, names in protocols.items():
            # mutt, on its terminal, says nothing that could be asked for.
            if client != "mutt" or protocol == "smtp":
                for mechanism in names:
                    wanted.setdefault((protocol, mechanism), (server, client, protocol, mechanism))
    wanted = [it for it in wanted.values() if it[3] != "EXTERNAL"]
    wanted += [(server, *it, "NTLM", PASSWORD) for it in NTLM_1]
    wanted = [it for it in wanted if it[1] == "python" or need(it[1])]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        taken = [it[1:4] for it, is_refused in zip(wanted, pool.map(lambda it: refused(*it), wanted)) if not is_refused]
    assert not taken, taken
    print(f"   {len(wanted)} refused")


if __name__ == "__main__":
    AUTHORITY, CERTIFICATES = Authority(), ClientAuthority()
    try:
        play(__doc__, globals(), "auth.test", [*KNOWN, "else"], CONFIG + AUTHORITY.config(),
             dns=f"127.0.0.1:{AUTHORITY.dns}", listener_keys=CERTIFICATES.keys())
    finally:
        AUTHORITY.stop()
        CERTIFICATES.stop()
