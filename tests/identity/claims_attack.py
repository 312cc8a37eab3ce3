"""Tokens that the issuer has signed, but that do not say what they have to, or say it in two ways."""

import json
import time


def times(scene):
    """`exp` and `nbf` are numbers of seconds; far from now, so that no leeway matters."""
    now = int(time.time())
    raw = lambda text: json.dumps(scene.claims(exp="EXP")).replace('"EXP"', text)
    for name, text in (
        ("a text", f'"{now + 600}"'),
        ("an empty text", '""'),
        ("negative", "-1"),
        ("zero", "0"),
        ("null", "null"),
        ("true", "true"),
        ("a list", f"[{now + 600}]"),
        ("an object", "{}"),
        ("an hour ago", str(now - 3600)),
        ("1e400", "1e400"),
        ("-1e400", "-1e400"),
        ("Infinity", "Infinity"),
        ("NaN", "NaN"),
        ("hexadecimal", hex(now + 600)),
        ("with a plus", f"+{now + 600}"),
        ("with a zero before it", f"0{now + 600}"),
        ("below zero in 64 bits", str(2**64 - 1 - 2**65)),
    ):
        yield f"exp {name}", scene.signed(payload=raw(text)), "refused"
    for name, text in (
        ("a fraction", f"{now + 600}.5"),
        ("as 1.7e9", f"{(now + 600) / 1e9:.9f}e9"),
        ("in milliseconds", str((now + 600) * 1000)),
        ("2^63", str(2**63)),
        ("2^64 - 1", str(2**64 - 1)),
        ("2^70", str(2**70)),
        ("1e30", "1e30"),
    ):
        yield f"exp {name}", scene.signed(payload=raw(text)), "either"
    yield "exp missing", scene.signed(payload=scene.claims(exp=None)), "refused"
    yield "exp twice, the last long ago", scene.signed(payload=json.dumps(scene.claims())[:-1] + ',"exp":1}'), "refused"
    yield "exp twice, the first long ago", scene.signed(payload='{"exp":1,' + json.dumps(scene.claims())[1:]), "either"
    for name, nbf in (
        ("in an hour", now + 3600),
        ("in an hour, with a fraction", now + 3600.5),
        ("a text", str(now - 60)),
        ("true", True),
        ("a list", [now - 60]),
    ):
        yield f"nbf {name}", scene.signed(payload=scene.claims(nbf=nbf)), "refused"
    yield "nbf 1e400", scene.signed(payload=json.dumps(scene.claims(nbf="N")).replace('"N"', "1e400")), "refused"
    yield "nbf a minute ago", scene.signed(payload=scene.claims(nbf=now - 60)), "accepted"
    yield "iat in an hour", scene.signed(payload=scene.claims(iat=now + 3600)), "either"
    yield "iat missing", scene.signed(payload=scene.claims(iat=None)), "accepted"


def parties(scene):
    """`iss`, `aud` and `sub` are who they have to be, to the letter."""
    issuer, audience = scene.issuer, scene.audience
    for name, iss in (
        ("with a slash", issuer + "/"),
        ("in capitals", issuer.upper()),
        ("with a space", issuer + " "),
        ("with NUL", issuer + "\0"),
        ("a list", [issuer]),
        ("missing", None),
        ("empty", ""),
        ("with a path", issuer + "/x"),
        ("without its port", issuer.rsplit(":", 1)[0]),
        ("with a fragment", issuer + "#"),
        ("https", issuer.replace("http:", "https:")),
        ("true", True),
        ("another", "https://issuer.test"),
        ("with user", issuer.replace("//", "//a@")),
    ):
        yield f"iss {name}", scene.signed(payload=scene.claims(iss=iss)), "refused"
    for name, aud in (
        ("another", "elsewhere"),
        ("missing", None),
        ("empty", ""),
        ("of nobody", []),
        ("of others", ["a", "b"]),
        ("in capitals", audience.upper()),
        ("with a space", audience + " "),
        ("a beginning", audience[:-1]),
        ("longer", audience + "x"),
        ("as a list in text", f'["{audience}"]'),
        ("two in one text", f"{audience} elsewhere"),
        ("an object", {audience: 1}),
        ("true", True),
        ("nested", [[audience]]),
        ("a star", "*"),
        ("with NUL", audience + "\0"),
    ):
        yield f"aud {name}", scene.signed(payload=scene.claims(aud=aud)), "refused"
    yield "aud among others", scene.signed(payload=scene.claims(aud=["elsewhere", audience])), "accepted"
    yield "aud alone in a list", scene.signed(payload=scene.claims(aud=[audience])), "accepted"
    yield "aud beside a number", scene.signed(payload=scene.claims(aud=[1, audience])), "either"
    for name, sub in (
        ("missing", None),
        ("empty", ""),
        ("a number", 1),
        ("a list", ["root"]),
        ("with line ends", "a\r\nX-User-Roles: owner"),
        ("with NUL", "a\0b"),
        ("with DEL", "a\x7f"),
    ):
        yield f"sub {name}", scene.signed(payload=scene.claims(sub=sub)), "refused"
    yield "sub not ASCII", scene.signed(payload=scene.claims(sub="jürgen")), "either"
    for name, roles in (
        ("with line ends", ["viewer", "a\r\nX-User-Id: root"]),
        ("a comma in one", ["viewer,owner"]),
        ("an object", {"owner": True}),
        ("a number", 1),
        ("nested", [["owner"]]),
    ):
        yield f"roles {name}", scene.signed(payload=scene.claims(roles=roles)), "either"


def tenants(scene):
    """The tenant's claim is this tenant's name, as a text, to the letter."""
    claim, own, other = scene.tenant_claim, scene.tenant, scene.other_tenant
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in own)
    for name, value in (
        ("another", other),
        ("a list", [own]),
        ("a list of both", [own, other]),
        ("an object", {own: True}),
        ("a number", 1),
        ("true", True),
        ("empty", ""),
        ("in capitals", own.upper()),
        ("with NUL", own + "\0"),
        ("with NUL and another", f"{own}\0{other}"),
        ("with a space", own + " "),
        ("after a space", " " + own),
        ("with a line end", own + "\n"),
        ("both", f"{own},{other}"),
        ("with a dot", own + "."),
        ("its host", f"{own}.example.localhost"),
        ("a star", "*"),
        ("wide letters", wide),
        ("a beginning", own[:-1]),
        ("longer", own + "x"),
        ("escaped", "%" + "%".join(f"{ord(letter):x}" for letter in own)),
        ("missing", None),
        ("with a mark", own + "\u200b"),
    ):
        yield f"tenant {name}", scene.signed(payload=scene.claims(**{claim: value})), "refused"
    yield "tenant null", scene.signed(payload=json.dumps(scene.claims(**{claim: "T"})).replace('"T"', "null")), "refused"
    escaped = json.dumps(scene.claims(**{claim: "T"})).replace('"T"', '"' + "".join(f"\\u{ord(letter):04x}" for letter in own) + '"')
    yield "tenant in escapes", scene.signed(payload=escaped), "accepted"
    twice = lambda first, last: scene.signed(payload="{" + f'"{claim}":"{first}",' + json.dumps(scene.claims(**{claim: last}))[1:])
    yield "tenant twice, the last another", twice(own, other), "refused"
    # RFC 7519, section 4: the last one counts, or the token is refused.
    yield "tenant twice, the first another", twice(other, own), "either"
    yield "tenant in another case beside it", scene.signed(payload={**scene.claims(), claim.upper(): other}), "accepted"
    yield "tenant below a dot", scene.signed(payload={**scene.claims(**{claim: None}), "x": {claim: own}, f"x.{claim}": own}), "refused"
