#!/usr/bin/env python3
"""Access tokens end to end: an authority of the test's own publishes keys, signs tokens and is asked about opaque
ones. Real clients get in with them; what is wrong with a token is refused as RFC 7628 has it.

    python3 tests/interop/oauth.py --binary target/debug/mailserver [--only NAME]"""

import base64
import concurrent.futures
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import auth_clients  # noqa: E402
from auth_clients import PORTS, User  # noqa: E402
from authority import KINDS, Authority, Key, b64, part  # noqa: E402
from connect_proxy import ConnectProxy  # noqa: E402
from peer import Peer  # noqa: E402
from run import play  # noqa: E402
from server import PASSWORD, Server, need  # noqa: E402

AUTHORITY = None
MINE = "ann@tokens.test"
WAYS = {
    "OAUTHBEARER": {"smtp": ["curl", "msmtp", "mutt"], "imap": ["curl", "mutt", "python"],
                    "pop3": ["curl", "mpop", "mutt"]},
    # curl speaks it where it is offered alone.
    "XOAUTH2": {"smtp": ["curl", "msmtp", "mutt"], "imap": ["curl", "mutt", "getmail", "python"],
                "pop3": ["curl", "mpop", "mutt"]},
}
EXEMPT = '\n[abuse]\nexempt = ["127.0.0.1"]\n'
IN = (b"235 ", b"tag9 OK", b"+OK")
REFUSED = (b"535 5.7.8", b"tag9 NO [AUTHENTICATIONFAILED]", b"-ERR [AUTH]")
LATER = (b"454 4.7.0", b"tag9 NO [UNAVAILABLE]", b"-ERR [SYS/TEMP]")


def first(mechanism, token, name):
    if mechanism == "XOAUTH2":
        return f"user={name}\1auth=Bearer {token}\1\1"
    return f"n,{f'a={name}' if name else ''},\1auth=Bearer {token}\1\1"


def challenged(line):
    """What the server gives as the reason, before it refuses."""
    said = line.rstrip(b"\r\n").partition(b" ")[2]
    return json.loads(base64.b64decode(said)) if line[:1] in (b"3", b"+") and not line.startswith(b"+OK") else None


def present(server, protocol, token, name="", mechanism="OAUTHBEARER"):
    """The reason in between, and the answer."""
    said = base64.b64encode(first(mechanism, token, name).encode())
    command = {"imap": b"tag9 AUTHENTICATE ", "smtp": b"AUTH ", "pop3": b"AUTH "}[protocol] + mechanism.encode()
    with Peer(server, PORTS[protocol]) as peer:
        if protocol == "smtp":
            peer.reply(b"EHLO client.test")
        peer.send(command + b" " + said + b"\r\n")
        line = peer.line()
        reason = challenged(line)
        if reason is None:
            return None, line
        # RFC 7628 section 3.2.3: a client answers with one octet and fails then.
        peer.send(base64.b64encode(b"\1") + b"\r\n")
        return reason, peer.line()


def everywhere(server, token, name="", mechanism="OAUTHBEARER"):
    """Over each protocol at once, since a refusal is held back for a second."""
    with concurrent.futures.ThreadPoolExecutor(len(PORTS)) as pool:
        return list(pool.map(lambda protocol: present(server, protocol, token, name, mechanism), PORTS))


def clients_get_in(server, mechanism, token):
    for protocol, clients in WAYS[mechanism].items():
        for client in clients:
            if client == "python" or need(client):
                before = len(server.log())
                said = getattr(auth_clients, client)(User(server, MINE, PASSWORD, token), protocol, mechanism)
                if protocol != "smtp":
                    assert f"login={MINE}" in server.log()[before:], (client, protocol, said)


def test_clients(server):
    clients_get_in(server, "OAUTHBEARER", AUTHORITY.token(MINE))


def test_each_algorithm_and_name(server):
    for by in KINDS:
        for mechanism in WAYS:
            told = everywhere(server, AUTHORITY.token(MINE, by), MINE, mechanism)
            assert all(line.startswith(IN) for _, line in told), (by, told)
    # The token alone says who it is (RFC 7628 section 3.1 leaves the name out); other ways to write the name.
    token = AUTHORITY.token(MINE, "EdDSA", aud=["else", "mail"], email_verified="true")
    for name in ("", "ANN@Tokens.Test"):
        told = everywhere(server, token, name)
        assert all(line.startswith(IN) for _, line in told), (name, told)
    # A published key without a name signs tokens without one.
    nameless = Key(AUTHORITY.folder, "ES256", None)
    AUTHORITY.keys["nameless"] = nameless
    unnamed = AUTHORITY.token(MINE, "nameless", header={"alg": "ES256"})
    del AUTHORITY.keys["nameless"]
    told = everywhere(server, unnamed)
    assert all(line.startswith(REFUSED) for _, line in told), "it is not published"


def bad_tokens():
    """What is wrong with each, and it."""
    ann, token = MINE, AUTHORITY.token
    elsewhere = AUTHORITY.folder / "elsewhere"
    elsewhere.mkdir()
    other = Authority.__new__(Authority)
    other.__dict__.update(AUTHORITY.__dict__, keys={"RS256": Key(elsewhere, "RS256", "RS256 of today")})
    good = token(ann)
    head, claims, signature = good.split(".")
    stolen = part(AUTHORITY.claims("bob@tokens.test"))
    yield "for another service", token(ann, aud="calendar")
    yield "for nobody", token(ann, aud=None)
    yield "from another issuer", token(ann, iss="https://evil.test")
    yield "expired", token(ann, exp=1)
    yield "never expires", token(ann, exp=None)
    yield "not valid yet", token(ann, nbf=99_999_999_999)
    yield "without the scope", token(ann, scope="openid profile")
    yield "address not verified", token(ann, email_verified=False)
    yield "of an account that is not there", token("nobody@tokens.test")
    yield "of an account that is closed", token("closed@tokens.test")
    yield "of an alias", token("alias@tokens.test")
    yield "without signature", token(ann, header={"alg": "none"})
    yield "unsigned", f"{part({'alg': 'none', 'typ': 'JWT'})}.{claims}."
    yield "with the public key as a secret", token(ann, header={"alg": "HS256"})
    yield "of another algorithm than its key", token(ann, header={"kid": "ES256 of today"})
    yield "of a key that nobody knows", token(ann, header={"kid": "made up"})
    yield "with a critical extension", token(ann, header={"crit": ["b64"], "b64": False})
    yield "an ID token", token(ann, header={"typ": "id+jwt"})
    yield "signed by somebody else", other.token(ann)
    yield "with a key of its own", token(ann, header={"jwk": AUTHORITY.keys["ES256"].jwk(), "kid": "brought along"})
    yield "with other claims", f"{head}.{stolen}.{signature}"
    yield "cut off", good[:-5]
    yield "no token at all", "c2VjcmV0"
    yield "too long", token(ann, more="x" * 6_500)


def test_what_is_wrong_with_a_token_is_refused(server):
    fetched = AUTHORITY.asked["/jwks"]
    server.command("alias", "add", "alias@tokens.test", MINE)
    server.command("account", "set", "closed@tokens.test", "--login", "no")
    tokens = list(bad_tokens())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda it: everywhere(server, it[1]), tokens))
    for (what, _), told in zip(tokens, answers):
        for protocol, (reason, line) in zip(PORTS, told):
            if what == "too long":
                # It does not fit into a line, or is none that a mechanism takes.
                assert not line.startswith(IN), (protocol, line)
                continue
            # IMAP says of an account that is closed that it is (RFC 5530), to who has shown what is right.
            closed = (b"tag9 NO [AUTHORIZATIONFAILED]",) if "closed" in what else ()
            assert line.startswith(REFUSED + closed), (what, protocol, line)
            # Nothing is told but that it is no good, whatever is wrong with it.
            assert reason == {"status": "invalid_token", "schemes": "bearer"}, (what, protocol, reason)
    # Somebody else's name beside a good token.
    for mechanism, status in (("OAUTHBEARER", "invalid_token"), ("XOAUTH2", "401")):
        for reason, line in everywhere(server, AUTHORITY.token(MINE), "bob@tokens.test", mechanism):
            assert line.startswith(REFUSED) and reason["status"] == status, (mechanism, reason, line)
    print(f"   {len(tokens)} kinds refused, keys fetched {AUTHORITY.asked['/jwks'] - fetched} times")


def test_made_up_keys_fetch_nothing(server):
    fetched = AUTHORITY.asked["/jwks"]
    made_up = [AUTHORITY.token(MINE, "EdDSA", header={"kid": f"key {n}"}) for n in range(60)]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        told = list(pool.map(lambda token: present(server, "imap", token), made_up))
    assert all(line.startswith(REFUSED) for _, line in told), told
    assert AUTHORITY.asked["/jwks"] - fetched <= 1, AUTHORITY.asked
    # Meanwhile a good one gets in.
    assert present(server, "imap", AUTHORITY.token(MINE))[1].startswith(IN)
    log = server.log()
    assert not [token for token in made_up if token.rpartition(".")[2] in log], "a token is in the log"


def test_keys_at_hand_serve_while_the_authority_is_gone(server):
    AUTHORITY.close()
    try:
        told = everywhere(server, AUTHORITY.token(MINE, "RS256"))
        assert all(line.startswith(IN) for _, line in told), told
    finally:
        AUTHORITY.open()


def test_no_authority_from_the_start(binary):
    """Nobody is told that his token is invalid, and passwords do."""
    AUTHORITY.close()
    try:
        with Server(binary, "tokens.test", ["ann"], extra=AUTHORITY.config() + EXEMPT,
                    dns=f"127.0.0.1:{AUTHORITY.dns}") as server:
            for reason, line in everywhere(server, AUTHORITY.token(MINE)):
                assert reason is None and line.startswith(LATER), (reason, line)
            auth_clients.curl(User(server, MINE, PASSWORD), "imap", "PLAIN")
    finally:
        AUTHORITY.open()


def test_by_introspection(binary):
    """Opaque tokens, each asked about; by XOAUTH2 alone, which is what curl then speaks."""
    mechanisms = '\n[auth]\nmechanisms = ["XOAUTH2", "PLAIN"]\n'
    with Server(binary, "tokens.test", ["ann"], extra=mechanisms + AUTHORITY.introspection() + EXEMPT,
                dns=f"127.0.0.1:{AUTHORITY.dns}") as server:
        AUTHORITY.opaque = {"good-token": {"email": MINE}, "of-nobody": {"email": "no@tokens.test"},
                            "old": {"email": MINE, "exp": 1}, "silent": {}}
        clients_get_in(server, "XOAUTH2", "good-token")
        for token in ("of-nobody", "old", "silent", "unknown"):
            for reason, line in everywhere(server, token, MINE, "XOAUTH2"):
                assert line.startswith(REFUSED) and reason["status"] == "401", (token, reason, line)
        # Revoked, it is worth nothing from the next login on.
        AUTHORITY.opaque = {}
        for _, line in everywhere(server, "good-token", MINE, "XOAUTH2"):
            assert line.startswith(REFUSED), line
        AUTHORITY.close()
        try:
            for reason, line in everywhere(server, "good-token", MINE, "XOAUTH2"):
                assert reason is None and line.startswith(LATER), (reason, line)
        finally:
            AUTHORITY.open()


def test_by_way_of_a_proxy(binary):
    """Keys are fetched, and questions asked, through the one proxy of [outgoing]."""
    for config, mechanism, token in ((AUTHORITY.config(), "OAUTHBEARER", AUTHORITY.token(MINE)),
                                     (AUTHORITY.introspection(), "XOAUTH2", "good-token")):
        AUTHORITY.opaque = {"good-token": {"email": MINE}}
        proxy = ConnectProxy("Basic " + base64.b64encode(b"mail:word").decode())
        outgoing = f'\n[outgoing]\nproxy = "http://mail:word@127.0.0.1:{proxy.port}"\n'
        with Server(binary, "tokens.test", ["ann"], extra=config + EXEMPT + outgoing,
                    dns=f"127.0.0.1:{AUTHORITY.dns}") as server:
            for _, line in everywhere(server, token, MINE, mechanism):
                assert line.startswith(IN), line
            assert proxy.asked and not proxy.refused, proxy.asked
            proxy.close()


if __name__ == "__main__":
    AUTHORITY = Authority()
    try:
        play(__doc__, globals(), "tokens.test", ["ann", "bob", "closed"], AUTHORITY.config() + EXEMPT,
             dns=f"127.0.0.1:{AUTHORITY.dns}")
    finally:
        AUTHORITY.stop()
