"""An authorization server for tests: it publishes keys, signs tokens, and says what an opaque one is worth. With
the name server that knows it. Signs with the openssl command, so that Python alone is enough."""

import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

from server import free_port

HOST = "login.test"
CLIENT, SECRET = "mail server", "to+be%encoded:"
KINDS = {
    "RS256": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ES256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "EdDSA": ["ED25519"],
}


def openssl(*words, octets=None):
    return subprocess.run(["openssl", *map(str, words)], input=octets, capture_output=True, check=True).stdout


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def part(value):
    return b64(json.dumps(value).encode())


def numbers_of(der):
    """The two numbers of an ECDSA signature, 32 octets each (RFC 7518 section 3.4)."""
    first = der[3]
    r, rest = der[4:4 + first], der[4 + first:]
    return b"".join(number.lstrip(b"\0").rjust(32, b"\0") for number in (r, rest[2:]))


class Key:
    """One that signs; `kid` None publishes it without a name."""

    def __init__(self, folder, algorithm, kid):
        self.algorithm, self.kid = algorithm, kid
        self.file = folder / f"{algorithm}-{kid}.pem"
        self.message = folder / "message"
        openssl("genpkey", "-algorithm", *KINDS[algorithm], "-out", self.file)
        self.public = openssl("pkey", "-in", self.file, "-pubout", "-outform", "DER")

    def jwk(self):
        told = {"use": "sig", "alg": self.algorithm}
        if self.kid:
            told["kid"] = self.kid
        if self.algorithm == "RS256":
            modulus = openssl("rsa", "-in", self.file, "-noout", "-modulus").decode().strip().partition("=")[2]
            return {"kty": "RSA", "n": b64(bytes.fromhex(modulus)), "e": "AQAB", **told}
        if self.algorithm == "ES256":
            return {"kty": "EC", "crv": "P-256", "x": b64(self.public[-64:-32]), "y": b64(self.public[-32:]), **told}
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(self.public[-32:]), **told}

    def sign(self, octets):
        self.message.write_bytes(octets)
        if self.algorithm == "EdDSA":
            return openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.file, "-in", self.message)
        signature = openssl("dgst", "-sha256", "-sign", self.file, self.message)
        return numbers_of(signature) if self.algorithm == "ES256" else signature


class Authority:
    """Answers at `https://login.test:PORT/jwks` and `/introspect`; counts the questions."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="authority-"))
        self.certificate = self.folder / "cert.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                self.folder / "key.pem", "-out", self.certificate, "-days", "2", "-subj", f"/CN={HOST}", "-addext",
                f"subjectAltName=DNS:{HOST}", "-addext", "basicConstraints=critical,CA:FALSE")
        self.keys = {name: Key(self.folder, name, f"{name} of today") for name in KINDS}
        self.published = list(self.keys.values())
        self.opaque = {}
        self.asked = {"/jwks": 0, "/introspect": 0}
        self.port, self.dns = free_port(), free_port()
        self.issuer = f"https://{HOST}:{self.port}"
        self.names = subprocess.Popen(
            ["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", f"--port={self.dns}", "--listen-address=127.0.0.1",
             "--bind-interfaces", f"--host-record={HOST},127.0.0.1", "--local=/test/"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.web = None
        self.open()

    def open(self):
        """Answers from now on."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.folder / "key.pem")
        self.web = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self.handler())
        self.web.socket = context.wrap_socket(self.web.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.web.serve_forever, daemon=True).start()

    def close(self):
        """Nobody answers any more."""
        self.web.shutdown()
        self.web.server_close()

    def handler(authority):
        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, status, value):
                octets = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            def do_GET(self):
                authority.asked[self.path] += 1
                self.answer(200, {"keys": [key.jwk() for key in authority.published]})

            def do_POST(self):
                authority.asked[self.path] += 1
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                scheme, _, login = self.headers["Authorization"].partition(" ")
                # Both are form-encoded before they are put together (RFC 6749 section 2.3.1).
                who = [urllib.parse.unquote_plus(it) for it in base64.b64decode(login).decode().split(":")]
                if scheme != "Basic" or who != [CLIENT, SECRET]:
                    return self.answer(401, {"error": "invalid_client"})
                claims = authority.opaque.get(form["token"][0])
                self.answer(200, {"active": False} if claims is None else {"active": True, **claims})

            def log_message(self, *_):
                pass

        return Handler

    def claims(self, email, **more):
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "mail", "sub": "17", "scope": "openid mail", "email": email,
                  "email_verified": True, "iat": now, "exp": now + 600, **more}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, email, by="RS256", header=None, **more):
        key = self.keys[by]
        header = {"typ": "at+jwt", "alg": by, "kid": key.kid, **(header or {})}
        header = {name: value for name, value in header.items() if value is not None}
        message = f"{part(header)}.{part(self.claims(email, **more))}"
        return f"{message}.{b64(self.signature(key, header['alg'], message.encode()))}"

    def signature(self, key, algorithm, message):
        """What `header` says it is: also what nobody may take."""
        if algorithm == "none":
            return b""
        if algorithm == "HS256":
            pem = openssl("pkey", "-pubin", "-inform", "DER", octets=key.public)
            return hmac.new(pem, message, hashlib.sha256).digest()
        return key.sign(message)

    def config(self, more=""):
        return (f'\n[outgoing_tls]\nroots = "{self.certificate}"\n\n[auth.oauth]\njwks = "{self.issuer}/jwks"\n'
                f'issuer = "{self.issuer}"\naudience = ["mail"]\nscopes = ["mail"]\n{more}')

    def introspection(self):
        return (f'\n[outgoing_tls]\nroots = "{self.certificate}"\n\n[auth.oauth]\n'
                f'introspection = "{self.issuer}/introspect"\nclient_id = "{CLIENT}"\nclient_secret = "{SECRET}"\n')

    def stop(self):
        self.close()
        self.names.kill()
        self.names.wait()
        shutil.rmtree(self.folder)
