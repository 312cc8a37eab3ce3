"""Tokens octet by octet: any header, any payload, any signature. Nothing is put right on the way."""

import base64
import hashlib
import hmac
import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

READERS = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}
PARTS = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def octets(part):
    """A header or payload: octets and text as they are, anything else as JSON."""
    if isinstance(part, bytes):
        return part
    return (part if isinstance(part, str) else json.dumps(part, separators=(",", ":"))).encode()


class Key:
    """A private key with its `kid`."""

    def __init__(self, private, alg, kid):
        self.private, self.alg, self.kid = private, alg, kid

    @classmethod
    def of_jwk(cls, jwk):
        return cls(READERS[jwk["kty"]].from_jwk(json.dumps(jwk)), jwk["alg"], jwk["kid"])

    @classmethod
    def made(cls, alg, kid):
        """One that nobody published."""
        make = {
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
        }
        return cls(make[alg](), alg, kid)

    def public(self, form, encoding):
        return self.private.public_key().public_bytes(encoding, form)

    def jwk(self, private=False):
        """The key as a JWK, and no more members than it needs."""
        kind = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}[self.alg[:2]]
        whole = json.loads(READERS[kind].to_jwk(self.private if private else self.private.public_key()))
        members = whole if private else PARTS[kind]
        return {name: whole[name] for name in members if name != "key_ops"}

    def sign(self, message, alg=None):
        alg = alg or self.alg
        digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(alg[2:], hashes.SHA256())
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(message)
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(self.private.sign(message, ec.ECDSA(digest)))
            size = (self.private.key_size + 7) // 8
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        if alg.startswith("PS"):
            return self.private.sign(message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        return self.private.sign(message, padding.PKCS1v15(), digest)


def mac(secret, size=256):
    """What signs as HMAC with this secret."""
    return lambda message: hmac.new(secret, message, getattr(hashlib, f"sha{size}")).digest()


def token(header, payload, sign):
    """`sign` is a key, a function of the message, or the signature itself."""
    message = f"{b64(octets(header))}.{b64(octets(payload))}"
    if isinstance(sign, bytes):
        return f"{message}.{b64(sign)}"
    return f"{message}.{b64((sign.sign if isinstance(sign, Key) else sign)(message.encode()))}"


class Scene:
    """What the attacker knows, and for tokens that are odd but well signed, what the issuer could sign."""

    def __init__(self, given):
        self.__dict__.update(given)
        self.keys = {jwk["alg"]: Key.of_jwk(jwk) for jwk in given["keys"]}
        self.evil = {alg: Key.made(alg, "evil") for alg in ("RS256", "ES256", "EdDSA")}

    def claims(self, **more):
        """Sound claims; `None` takes one away."""
        now = int(time.time())
        sound = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": "mallory",
            "iat": now,
            "exp": now + 600,
            self.tenant_claim: self.tenant,
            "roles": ["owner"],
        }
        return {name: value for name, value in {**sound, **more}.items() if value is not None}

    def header(self, alg="ES256", **more):
        """A sound header; `None` takes a member away."""
        sound = {"alg": alg, "typ": "at+jwt", "kid": self.keys[alg].kid if alg in self.keys else None}
        return {name: value for name, value in {**sound, **more}.items() if value is not None}

    def signed(self, header=None, payload=None, alg="ES256"):
        """What the issuer itself would sign."""
        header = self.header(alg) if header is None else header
        return token(header, self.claims() if payload is None else payload, self.keys[alg])
