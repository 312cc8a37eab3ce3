"""Makes tokens that no gateway must take, and some that it has to: reads a scene as JSON, prints a list of {family, name, token, expected}.

`expected` is "refused", "accepted", or "either" where the standards leave it open. The list is judged by PyJWT as well, which nobody here
wrote: it takes what is to be accepted, and of what no issuer has signed it takes nothing.
"""

import json
import sys

import jwt

import claims_attack
import form_attack
import keys_attack
from forge import Scene

FAMILIES = {
    "algorithm": keys_attack.algorithms,
    "secret": keys_attack.secrets,
    "kid": keys_attack.kids,
    "brought along": keys_attack.brought_along,
    "parts": form_attack.parts,
    "json": form_attack.json_of,
    "signature": form_attack.signatures,
    "times": claims_attack.times,
    "parties": claims_attack.parties,
    "tenant": claims_attack.tenants,
}
#: What PyJWT takes although RFC 7515, section 2, has no padding.
LENIENT = {"a token padded"}
#: What no issuer has signed.
UNSIGNED = ("algorithm", "secret", "brought along", "parts", "signature")


def takes(scene, token):
    """Whether PyJWT verifies it, with the keys that the issuer publishes."""
    published = jwt.PyJWKSet([{**key.jwk(), "kid": key.kid, "alg": key.alg} for key in scene.keys.values()])
    try:
        kid, alg = (jwt.get_unverified_header(token).get(name) for name in ("kid", "alg"))
        keys = [key for key in published.keys if key.key_id == kid or (kid is None and key.algorithm_name == alg)]
        jwt.decode(
            token,
            keys[0],
            algorithms=list(scene.keys),
            audience=scene.audience,
            issuer=scene.issuer,
            options={"require": ["exp", "aud", "iss", "sub"]},
        )
    except Exception:  # Whatever it says of it, it does not take it.
        return False
    return True


def main():
    scene = Scene(json.load(sys.stdin))
    made = [
        {"family": family, "name": name, "token": token, "expected": expected}
        for family, make in FAMILIES.items()
        for name, token, expected in make(scene)
    ]
    made.append({"family": "parts", "name": "of the provider", "token": scene.good, "expected": "accepted"})
    taken = [case for case in made if takes(scene, case["token"])]
    missed = [case["name"] for case in made if case["expected"] == "accepted" and case not in taken]
    forged = [
        case["name"] for case in taken if case["family"] in UNSIGNED and case["expected"] == "refused" and case["name"] not in LENIENT
    ]
    if missed or forged:
        sys.exit(f"PyJWT does not take {missed}, and takes {forged}")
    json.dump(made, sys.stdout)


main()
