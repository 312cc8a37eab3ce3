"""Attacks on what a signature is checked with: the algorithm, the key, and where a key is found."""

import base64
import datetime
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from forge import b64, mac, token, unb64


def algorithms(scene):
    """Nobody takes an unsigned token, however it says so."""
    claims = scene.claims()
    for name in (
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        " none",
        "none\0",
        "",
        "null",
        "rs256",
        "es256",
        "ES256 ",
        "HS256",
        "RSA",
        "ES256K",
        "dir",
    ):
        for what, signature in (("nothing", b""), ("an octet", b"\0"), ("another signature", unb64(scene.good.rsplit(".", 1)[1]))):
            yield f"alg {name!r} signed with {what}", token(scene.header(alg=name), claims, signature), "refused"
    for name, alg in (("missing", None), ("a number", 0), ("true", True), ("a list", ["none"]), ("an object", {"none": 1})):
        header = {"typ": "at+jwt", "kid": scene.keys["ES256"].kid, **({} if alg is None else {"alg": alg})}
        yield f"alg {name}", token(header, claims, b""), "refused"
        yield f"alg {name}, well signed", token(header, claims, scene.keys["ES256"]), "refused"
    yield "alg null", token('{"alg":null,"typ":"JWT"}', claims, b""), "refused"
    for header in (
        '{"alg":"none","alg":"ES256","kid":%s}',
        '{"alg":"ES256","alg":"none","kid":%s}',
        '{"alg":"none","ALG":"ES256","kid":%s}',
    ):
        yield f"header {header[:30]}", token(header % json.dumps(scene.keys["ES256"].kid), claims, b""), "refused"


def secrets(scene):
    """A public key is no secret: HMAC over each of its forms."""
    claims = scene.claims()
    for alg, key in scene.keys.items():
        pem, der = key.public(PublicFormat.SubjectPublicKeyInfo, Encoding.PEM), key.public(PublicFormat.SubjectPublicKeyInfo, Encoding.DER)
        jwk = key.jwk()
        forms = {
            "PEM": pem,
            "PEM without its last line end": pem.rstrip(b"\n"),
            "PEM with CRLF": pem.replace(b"\n", b"\r\n"),
            "DER": der,
            "DER in base64": b64(der).encode(),
            "JWK": json.dumps(jwk).encode(),
            "JWK without spaces": json.dumps(jwk, separators=(",", ":")).encode(),
            "JWK, sorted": json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
            "kid": key.kid.encode(),
        }
        if "n" in jwk:
            forms["PKCS#1 PEM"], forms["PKCS#1 DER"] = (key.public(PublicFormat.PKCS1, form) for form in (Encoding.PEM, Encoding.DER))
            forms["modulus"], forms["modulus in base64"] = unb64(jwk["n"]), jwk["n"].encode()
        elif "y" in jwk:
            forms["point"] = b"\4" + unb64(jwk["x"]) + unb64(jwk["y"])
        else:
            forms["raw"] = unb64(jwk["x"])
        for form, secret in forms.items():
            header = scene.header(alg="HS256", kid=key.kid)
            yield f"HS256 with the {form} of {alg}'s key", token(header, claims, mac(secret)), "refused"
            # The key's own algorithm is named, where only the form of the signature is looked at.
            yield f"{alg} by HMAC with the {form} of its key", token(scene.header(alg=alg), claims, mac(secret)), "refused"
    for size in (256, 384, 512):
        for name, secret in (("nothing", b""), ("secret", b"secret"), ("the issuer's name", scene.issuer.encode())):
            yield f"HS{size} with {name}", token(scene.header(alg=f"HS{size}"), claims, mac(secret, size)), "refused"


def kids(scene):
    """A `kid` finds a key of the issuer or none."""
    claims = scene.claims()
    odd = {
        "path": "../../../../../../dev/null",
        "absolute path": "/dev/null",
        "file URL": "file:///dev/null",
        "URL": f"{scene.evil_url}/jwks",
        "SQL": "' UNION SELECT '' -- ",
        "SQL that finds all": "x' OR '1'='1",
        "template": "{{7*7}}${7*7}",
        "command": "|sleep 10",
        "NUL": "a\0b",
        "line ends": "a\r\nX-User-Roles: owner",
        "long": "k" * 9_000,
        "empty": "",
        "space": " ",
        "unknown": "nobody",
        "foreign": scene.foreign_kid,
        "star": "*",
        "not ASCII": "кey",
    }
    for name, kid in odd.items():
        yield f"kid {name}, HMAC of nothing", token(scene.header(alg="HS256", kid=kid), claims, mac(b"")), "refused"
        yield f"kid {name}, the attacker's key", token(scene.header(kid=kid), claims, scene.evil["ES256"]), "refused"
        yield f"kid {name}, the issuer's own key", token(scene.header(kid=kid), claims, scene.keys["ES256"]), "refused"
    good = scene.keys["ES256"].kid
    for name, kid in (("in capitals", good.upper()), ("with a space", good + " "), ("with NUL", good + "\0"), ("twice", good + "," + good)):
        yield f"kid {name}", token(scene.header(kid=kid), claims, scene.keys["ES256"]), "refused"
    for name, kid in (("number", 1), ("list", [good]), ("object", {"kid": good}), ("true", True)):
        yield f"kid is a {name}", token(scene.header(kid=kid), claims, scene.keys["ES256"]), "refused"
        yield f"kid is a {name}, the attacker's key", token(scene.header(kid=kid), claims, scene.evil["ES256"]), "refused"
    for alg, key in scene.keys.items():
        yield f"kid of {alg}, the attacker's key", token(
            scene.header(alg=alg), claims, scene.evil[{"RS": "RS256", "PS": "RS256", "ES": "ES256", "Ed": "EdDSA"}[alg[:2]]]
        ), "refused"
        for other, wrong in scene.keys.items():
            if other != alg:
                yield f"{alg} with the kid of {other}", token(scene.header(alg=alg, kid=wrong.kid), claims, key), "refused"
                yield f"signed by {alg}'s key as {other}", token(scene.header(alg=other), claims, key), "refused"
    yield "no kid, the attacker's key", token(scene.header(kid=None), claims, scene.evil["ES256"]), "refused"
    # Whoever publishes one key of a kind need not name it.
    yield "no kid", token(scene.header(kid=None), claims, scene.keys["ES256"]), "either"


def brought_along(scene):
    """Keys and addresses in the header are the attacker's."""
    claims, url = scene.claims(), scene.evil_url
    for alg, key in scene.evil.items():
        public, own = {**key.jwk(), "kid": key.kid, "alg": alg, "use": "sig"}, scene.keys[alg].kid
        certificate = b64std(self_signed(key).public_bytes(Encoding.DER)) if alg != "EdDSA" else None
        members = {
            "jwk": {"jwk": public},
            "jwk with its private part": {"jwk": key.jwk(private=True)},
            "jwk with the issuer's kid": {"jwk": {**public, "kid": own}},
            "jku": {"jku": f"{url}/jwks"},
            "jku with user": {"jku": f"{scene.issuer}@{url.split('//')[1]}/jwks"},
            "jku of the issuer": {"jku": f"{scene.issuer}/jwks"},
            "jku by a way around": {"jku": f"{scene.issuer}/auth?redirect_uri={url}/jwks"},
            "jku of a file": {"jku": "file:///etc/passwd"},
            "x5u": {"x5u": f"{url}/chain.pem"},
            "x5c of nothing": {"x5c": []},
            "iss in the header": {"iss": url},
            "x5t": {"x5t": "AAAA", "x5t#S256": "AAAA"},
        }
        if certificate:
            members |= {"x5c": {"x5c": [certificate]}, "x5c and x5u": {"x5c": [certificate], "x5u": f"{url}/chain.pem"}}
        for name, more in members.items():
            for whose, kid in (("its own", key.kid), ("the issuer's", own), ("no", None)):
                yield f"{alg} with {name} and {whose} kid", token(scene.header(alg=alg, kid=kid, **more), claims, key), "refused"
    # Well signed, with an address that is not asked.
    yield "jku beside a good signature", scene.signed(scene.header(jku=f"{url}/jwks")), "either"
    yield "jwk beside a good signature", scene.signed(scene.header(jwk=scene.evil["ES256"].jwk())), "either"
    yield "the issuer is the attacker's", token(
        scene.header(kid="evil", jku=f"{url}/jwks"), scene.claims(iss=url), scene.evil["ES256"]
    ), "refused"


def b64std(octets):
    return base64.b64encode(octets).decode()


def self_signed(key):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "evil")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.private.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key.private, hashes.SHA256())
