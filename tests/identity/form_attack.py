"""Attacks on the form: the parts of a token, their base64 and JSON, and the octets of a signature."""

import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from forge import b64, octets, token, unb64

#: The order of P-256 (SEC 2, section 2.4.2) and of Ed25519 (RFC 8032, section 5.1).
P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519 = 2**252 + 27742317777372353535851937790883648493
LAST = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def parts(scene):
    """Of a token that the provider has signed, every part in a form that it must not have."""
    good = scene.good
    head, body, signature = good.split(".")
    lied = b64(octets({**json.loads(unb64(body)), "roles": ["owner"], "sub": "root"}))
    shapes = {
        "without a signature": f"{head}.{body}",
        "with an empty signature": f"{head}.{body}.",
        "of a head": f"{head}..",
        "of dots": "..",
        "empty": ".",
        "with four parts": f"{good}.{signature}",
        "with four parts, one empty": f"{good}.",
        "with five parts": f"{good}.{body}.{signature}",
        "with an empty first part": f".{good}",
        "with two dots": f"{head}..{body}.{signature}",
        "with its payload twice": f"{head}.{body}.{body}.{signature}",
        "with another payload": f"{head}.{lied}.{signature}",
        "with a payload before it": f"{head}.{lied}.{body}.{signature}",
        "turned round": f"{body}.{head}.{signature}",
        "padded": f"{head}.{body}.{signature}{'=' * (-len(signature) % 4) or '===='}",
        "padded in its head": f"{head}=.{body}.{signature}",
        "padded in its payload": f"{head}.{body}=.{signature}",
        "with a space in it": f"{head}.{body[:9]} {body[9:]}.{signature}",
        "with a tab in it": f"{head}.{body}.{signature[:9]}\t{signature[9:]}",
        "with a space at its dots": f"{head} .{body} .{signature}",
        "in capitals": good.upper(),
        "in small letters": good.lower(),
        "with dots escaped": good.replace(".", "%2E"),
        "with a comma": f"{good},{good}",
        "in quotes": f'"{good}"',
        "with a letter more": f"{good}A",
        "with a letter less": good[:-1],
        "with half a signature": f"{head}.{body}.{signature[:len(signature) // 2]}",
        "with a signature twice": f"{head}.{body}.{signature}{signature}",
        "with a star": f"{head}.{body}.{signature[:-1]}*",
        "as JSON": json.dumps({"payload": body, "protected": head, "signature": signature}, separators=(",", ":")),
        "as general JSON": json.dumps(
            {"payload": body, "signatures": [{"protected": head, "signature": signature}]}, separators=(",", ":")
        ),
    }
    for name, text in shapes.items():
        yield f"a token {name}", text, "refused"
    # Bits that no octet holds: some readers ignore them (RFC 4648, section 3.5).
    yield "a token with loose bits", f"{head}.{body}.{signature[:-1]}{LAST[LAST.index(signature[-1]) ^ 1]}", (
        "either" if len(signature) % 4 else "refused"
    )
    text = next(
        made
        for made in iter(lambda: scene.signed(payload=scene.claims(sub=f"ÿÿÿ{b64(octets(str(id(object()))))}")), None)
        if set(made) & set("-_")
    )
    yield "a token in the other alphabet", text.replace("-", "+").replace("_", "/"), "refused"


def json_of(scene):
    """Headers and payloads that are no objects, or not what they seem."""
    good, kid = scene.claims(), scene.keys["ES256"].kid
    for name, text in (
        ("a list", "[]"),
        ("a text", '"x"'),
        ("a number", "1"),
        ("null", "null"),
        ("nothing", ""),
        ("cut", '{"sub":"x"'),
        ("two objects", json.dumps(good) * 2),
        ("with a comma", json.dumps(good)[:-1] + ",}"),
        ("in quotes of another kind", str(good)),
        ("latin-1", json.dumps({**good, "sub": "ü"}, ensure_ascii=False).encode("latin-1")),
        ("UTF-16", json.dumps(good).encode("utf-16")),
        ("after a mark", b"\xef\xbb\xbf" + octets(good)),
        ("deep", '{"sub":' + "[" * 6_000 + "]" * 6_000 + "}"),
        ("half a character", json.dumps(good)[:-1] + ',"sub":"\\ud800"}'),
        ("NaN", json.dumps({**good, "exp": float("nan")})),
    ):
        yield f"payload {name}", scene.signed(payload=text), "refused"
        if name not in ("NaN", "half a character", "deep"):
            yield f"header {name}", token(text, good, scene.keys["ES256"]), "refused"
    header = f'{{"alg":"ES256","kid":{json.dumps(kid)},'
    yield "header with a kid twice", scene.signed(header + '"kid":"evil"}'), "refused"
    yield "header with typ twice", scene.signed(header + '"typ":"JWT","typ":"at+jwt"}'), "either"
    yield "header with an unknown member", scene.signed(header + '"x":{"y":[1]}}'), "accepted"
    yield "header with spaces", scene.signed(header.replace(":", " : ") + ' "typ" : "JWT" }'), "accepted"
    for kind in ("logout+jwt", "dpop+jwt", "secevent+jwt", "token-introspection+jwt", "JOSE", "at+jwt;x", "", "text/plain"):
        yield f"typ {kind!r}", scene.signed(scene.header(typ=kind)), "refused"
    for kind in ("JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", None):
        yield f"typ {kind!r}", scene.signed(scene.header(typ=kind)), "accepted"
    yield "typ is a number", scene.signed(scene.header(typ=1)), "refused"
    for name, crit in (
        ("unknown", ["gatehouse"]),
        ("of exp", ["exp"]),
        ("of nothing", []),
        ("of alg", ["alg"]),
        ("text", "exp"),
        ("true", True),
        ("a number in it", [1]),
    ):
        yield f"crit {name}", scene.signed(scene.header(crit=crit, gatehouse=1)), "refused"
    yield "crit of b64", scene.signed(scene.header(crit=["b64"], b64=False)), "refused"
    message = f"{b64(octets(scene.header(crit=['b64'], b64=False)))}.{json.dumps(good).replace('.', '_')}"
    yield "crit of b64, not encoded", f"{message}.{b64(scene.keys['ES256'].sign(message.encode()))}", "refused"
    yield "packed (zip)", scene.signed(scene.header(zip="DEF")), "refused"
    yield "of 14 KiB", scene.signed(payload=scene.claims(more="m" * 9_000)), "either"
    yield "of 100 KiB", scene.signed(payload=scene.claims(more="m" * 75_000)), "refused"
    yield "with 2,000 claims", scene.signed(payload={**scene.claims(), **{f"c{number}": 0 for number in range(800)}}), "either"


def signatures(scene):
    """Octets that a lenient check takes for a signature."""
    claims = scene.claims()
    for alg, key in scene.keys.items():
        header = scene.header(alg=alg)
        message = f"{b64(octets(header))}.{b64(octets(claims))}".encode()
        good = key.sign(message)
        forms = {
            "nothing": b"",
            "an octet": b"\0",
            "zeros": bytes(len(good)),
            "ones": b"\xff" * len(good),
            "a zero before it": b"\0" + good,
            "a zero after it": good + b"\0",
            "an octet less": good[:-1],
            "the first half": good[: len(good) // 2],
            "itself turned round": good[::-1],
            "a bit of it turned": bytes([good[0] ^ 1]) + good[1:],
            "its text": b64(good).encode(),
            "the one of another": unb64(scene.good.rsplit(".", 1)[1]),
        }
        forms |= (
            of_curve(good, key, message)
            if alg == "ES256"
            else of_rsa(good, key, message, alg) if alg in ("RS256", "PS256") else of_edwards(good) if alg == "EdDSA" else {}
        )
        for name, signature in forms.items():
            yield f"{alg} signed with {name}", token(header, claims, signature), "refused"
        yield f"{alg} well signed", token(header, claims, good), "accepted"

    def twin(message):
        r, s = halves(scene.keys["ES256"].sign(message))
        return r + (P256 - int.from_bytes(s, "big")).to_bytes(32, "big")

    # Good by the rules of ECDSA, which has two signatures for each.
    yield "ES256 signed with the twin of a signature", token(scene.header(), claims, twin), "either"


def halves(signature):
    middle = len(signature) // 2
    return signature[:middle], signature[middle:]


def of_curve(good, key, message):
    pair = lambda r, s: r.to_bytes(32, "big") + s.to_bytes(32, "big")
    r, s = (int.from_bytes(half, "big") for half in halves(good))
    half = key.private.sign(message, ec.ECDSA(hashes.SHA384()))
    return {
        "r = 0": pair(0, s),
        "s = 0": pair(r, 0),
        "r = s = the order": pair(P256, P256),
        "r = the order": pair(P256, s),
        "s = the order": pair(r, P256),
        "r = s = 1": pair(1, 1),
        "r and s exchanged": pair(s, r),
        "DER": encode_dss_signature(r, s),
        "DER of zeros": encode_dss_signature(0, 0),
        "DER of another digest": half,
        "halves of 48 octets": r.to_bytes(48, "big") + s.to_bytes(48, "big"),
    }


def of_rsa(good, key, message, alg):
    number, size = key.private.public_key().public_numbers().n, len(good)
    pss = lambda salt, digest=hashes.SHA256(): key.private.sign(message, padding.PSS(padding.MGF1(digest), salt), digest)
    forms = {
        "1": (1).to_bytes(size, "big"),
        "the modulus": number.to_bytes(size, "big"),
        "the modulus less 1": (number - 1).to_bytes(size, "big"),
        "SHA-1": key.private.sign(message, padding.PKCS1v15(), hashes.SHA1()),
        "SHA-512": key.private.sign(message, padding.PKCS1v15(), hashes.SHA512()),
    }
    if alg == "PS256":
        # RFC 7518, section 3.5: the salt is as long as the digest.
        return forms | {
            "PKCS#1": key.sign(message, "RS256"),
            "no salt": pss(0),
            "a long salt": pss(64),
            "SHA-512 in PSS": pss(64, hashes.SHA512()),
        }
    return forms | {"PSS": key.sign(message, "PS256")}


def of_edwards(good):
    r, s = good[:32], int.from_bytes(good[32:], "little")
    return {"s + the order": r + (s + ED25519).to_bytes(32, "little"), "a point of no weight": b"\1" + bytes(63), "r alone": r + bytes(32)}
