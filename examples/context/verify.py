"""Proves that a request came through gatehouse, and says which tenant and user it is of.

pip install "pyjwt[crypto]"
GATEHOUSE_JWKS=http://127.0.0.1:3000/.well-known/jwks.json python verify.py
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

JWKS = os.environ.get("GATEHOUSE_JWKS", "http://127.0.0.1:3000/.well-known/jwks.json")
# Fetched when they are first needed, kept, and fetched again when a context names a key that is not among them.
keys = jwt.PyJWKClient(JWKS, cache_keys=True)


def context_of(headers):
    """The context of a request: tenant, slug, plan, features, user and roles. Raises where it is missing, forged or expired."""
    token = headers.get("X-Tenant-Context", "")
    key = keys.get_signing_key_from_jwt(token).key
    required = {"require": ["exp", "iat", "iss", "aud"]}
    return jwt.decode(token, key, algorithms=["EdDSA"], issuer="gatehouse", audience="app", options=required)


class App(BaseHTTPRequestHandler):
    """An app that tells what it knows."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            said = context_of(self.headers)
            status, body = 200, {name: said.get(name) for name in ("tenant", "slug", "plan", "features", "user", "roles")}
        except jwt.PyJWTError as error:
            status, body = 401, {"error": f"this request did not come through the gate: {error}"}
        octets = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), App)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
