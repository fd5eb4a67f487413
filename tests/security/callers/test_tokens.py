"""JWTs over HTTP: valid ones are accepted; forged, expired, misdirected and oversized ones are not."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.gateway import Gateway, chat_request, running_gateway
from tests.support.token_issuer import AUDIENCE, ISSUER, RSA_KEY, a_jwk, a_token, token_issuer

PEM = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
SHARED_SECRET = b"known to all who read the published keys"
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def b64(value: bytes | dict[str, Any]) -> str:
    written = json.dumps(value).encode() if isinstance(value, dict) else value
    return base64.urlsafe_b64encode(written).rstrip(b"=").decode()


def claims(**changed: Any) -> dict[str, Any]:
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "exp": int(time.time()) + 86_400} | changed


def written(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    return f"{b64(header)}.{b64(payload)}.{b64(signature)}"


def hmac_token(secret: bytes, algorithm: str = "HS256") -> str:
    """A token signed with HMAC, by hand, since PyJWT does not take a public key as its secret."""
    signed = f"{b64({'alg': algorithm, 'typ': 'JWT', 'kid': 'RS256'})}.{b64(claims())}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def with_another_payload(token: str) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{b64(claims(sub='admin'))}.{signature}"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def response_to(token: str, **settings: Any) -> httpx.Response:
    async with token_issuer() as issuer, running_gateway(**(issuer.settings | settings)) as gateway:
        return await gateway.chat(chat_request("hi"), headers=bearer(token))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_valid_token_is_accepted_thirty_times_a_minute(algorithm: str) -> None:
    response = await response_to(a_token(algorithm))

    assert response.status_code == 200
    assert response.headers["x-ratelimit-limit-requests"] == "30"
    assert response.headers["x-ratelimit-remaining-requests"] == "29"


@pytest.mark.parametrize("aud", [[AUDIENCE, "another"], AUDIENCE])
async def test_a_token_may_have_several_audiences(aud: object) -> None:
    assert (await response_to(a_token(aud=aud))).status_code == 200


@pytest.mark.parametrize(
    ("offsets_s", "status"), [({"exp": -50}, 200), ({"exp": -70}, 401), ({"nbf": 50}, 200), ({"nbf": 70}, 401)]
)
async def test_clocks_may_differ_by_a_minute(offsets_s: dict[str, int], status: int) -> None:
    now_s = int(time.time())

    times: dict[str, Any] = {name: now_s + offset_s for name, offset_s in offsets_s.items()}
    response = await response_to(a_token(**times))

    assert response.status_code == status


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(a_token(exp=int(time.time()) - 3600), id="expired"),
        pytest.param(a_token(exp=None), id="never expires"),
        pytest.param(a_token(exp="tomorrow"), id="expiry as a word"),
        pytest.param(a_token(nbf=int(time.time()) + 3600), id="of the future"),
        pytest.param(a_token(aud="another"), id="for another audience"),
        pytest.param(a_token(aud=None), id="for no audience"),
        pytest.param(a_token(aud=[]), id="for an empty list"),
        pytest.param(a_token(iss="https://evil.example/"), id="of another issuer"),
        pytest.param(a_token(iss=ISSUER + "x"), id="of a longer issuer"),
        pytest.param(a_token(iss=None), id="of no issuer"),
        pytest.param(a_token(sub=None), id="of no subject"),
        pytest.param(a_token(sub=""), id="of an empty subject"),
        pytest.param(a_token(sub="s" * 201), id="of an overlong subject"),
        pytest.param(a_token(sub=["a"]), id="of a subject that is a list"),
        pytest.param(a_token(zero_retention="true"), id="with a retention in words"),
        pytest.param(a_token(key=OTHER_KEY), id="signed by another key"),
        pytest.param(a_token(kid="unknown"), id="by an unknown key"),
        pytest.param(a_token(kid=None), id="by no key, where there are several"),
        pytest.param(a_token(kid="ES256"), id="by the name of another kind of key"),
        pytest.param(with_another_payload(a_token()), id="altered"),
        pytest.param(a_token()[:-8], id="cut off"),
        pytest.param(written({"alg": "none", "kid": "RS256"}, claims()), id="unsigned"),
        pytest.param(written({"alg": "None", "kid": "RS256"}, claims(), b"x"), id="unsigned, in capitals"),
        pytest.param(written({"kid": "RS256"}, claims(), b"x"), id="without an algorithm"),
        pytest.param(hmac_token(PEM), id="HMAC with the public key as its secret"),
        pytest.param(hmac_token(json.dumps(a_jwk()).encode()), id="HMAC with the published key as its secret"),
        pytest.param(hmac_token(b""), id="HMAC with no secret"),
        pytest.param(jwt.encode(claims(), RSA_KEY, "RS512", {"kid": "RS256"}), id="RS512"),
        pytest.param(jwt.encode(claims(), RSA_KEY, "PS256", {"kid": "RS256"}), id="PS256"),
        pytest.param(
            jwt.encode(claims(), RSA_KEY, "RS256", {"kid": "RS256", "crit": ["odd"], "odd": 1}),
            id="with a critical header",
        ),
        pytest.param(
            jwt.encode(claims(), OTHER_KEY, "RS256", {"kid": "x", "jwk": a_jwk(key=OTHER_KEY)}),
            id="with its own key inside",
        ),
        pytest.param(written({"alg": "RS256", "kid": ["RS256"]}, claims()), id="kid is a list"),
        pytest.param("..", id="nothing but dots"),
        pytest.param("a.b.c", id="no base64"),
        pytest.param(f"{b64(b'[]')}.{b64(b'[]')}.{b64(b'x')}", id="lists"),
        pytest.param(f"{b64(b'[' * 3000)}.{b64(b'{}')}.x", id="deeply nested"),
        pytest.param(a_token(padding="x" * 8192), id="huge"),
        pytest.param("." * 2 + "A" * 50_000, id="huge and nothing"),
    ],
)
async def test_an_invalid_token_is_rejected(token: str) -> None:
    response = await response_to(token)

    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_token")
    assert response.headers["x-ratelimit-limit-requests"] == "0"
    assert token[:200] not in response.text


async def test_a_huge_token_is_rejected_before_keys_are_fetched() -> None:
    async with token_issuer() as issuer, running_gateway(**issuer.settings) as gateway:
        response = await gateway.chat(chat_request("hi"), headers=bearer(a_token(padding="x" * 8192)))

        assert "8,192 bytes" in response.json()["error"]["message"]
        assert issuer.fetches == 0


async def test_an_invalid_token_is_rejected_even_with_the_free_tier() -> None:
    async with token_issuer() as issuer, running_gateway(**issuer.settings) as gateway:
        response = await gateway.chat(chat_request("hi"), headers=bearer("a.b.c") | {"x-free-tier": "true"})

        assert response.status_code == 401


async def test_without_an_issuer_tokens_are_rejected_and_the_setting_is_named(demo_gateway: Gateway) -> None:
    response = await demo_gateway.chat(chat_request("hi"), headers=bearer(a_token()))

    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_token")
    assert "OBSCURA_JWKS_URL" in response.json()["error"]["message"]


@pytest.mark.parametrize("token", ["eyJ.eyJ", "a.b.c.d.e", "nonsense"])
async def test_what_is_neither_token_nor_key_is_rejected_as_a_key(token: str) -> None:
    response = await response_to(token)

    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_a_claim_of_the_token_turns_on_zero_retention() -> None:
    assert (await response_to(a_token(zero_retention=True))).headers["x-zero-retention"] == "true"
    assert "x-zero-retention" not in (await response_to(a_token(zero_retention=False))).headers


async def test_each_subject_has_its_own_rate_limit() -> None:
    async with token_issuer() as issuer, running_gateway(**issuer.settings, jwt_requests_per_minute=2) as gateway:
        first = [await gateway.chat(chat_request("hi"), headers=bearer(a_token(sub="a"))) for _ in range(3)]
        second = await gateway.chat(chat_request("hi"), headers=bearer(a_token(sub="b")))

        assert [response.status_code for response in first] == [200, 200, 429]
        assert first[2].json()["error"]["code"] == "rate_limit_exceeded"
        assert 1 <= int(first[2].headers["retry-after"]) <= 60
        assert second.status_code == 200


@pytest.mark.parametrize(
    "jwks",
    [
        {"keys": []},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "RS256"}]},
        {"keys": [a_jwk(use="enc")]},
        {"keys": [a_jwk(key_ops=["encrypt"])]},
        {"keys": [a_jwk(alg="RS512")]},
        {"keys": [{"kty": "RSA", "kid": "RS256", "n": "!", "e": "AQAB"}]},
        {"keys": "none"},
        {"keys": [a_jwk()] * 3000},
        [],
    ],
    ids=[
        "empty",
        "a secret",
        "for encryption",
        "not to verify",
        "RS512",
        "broken",
        "no list",
        "too long",
        "another shape",
    ],
)
async def test_an_issuer_without_usable_keys_is_unavailable(jwks: dict[str, Any]) -> None:
    async with token_issuer() as issuer, running_gateway(**issuer.settings) as gateway:
        issuer.jwks = jwks

        response = await gateway.chat(chat_request("hi"), headers=bearer(a_token()))

        assert (response.status_code, response.json()["error"]["code"]) == (503, "upstream_unavailable")
        assert 1 <= int(response.headers["retry-after"]) <= 60


async def test_a_secret_among_the_published_keys_verifies_nothing() -> None:
    async with token_issuer() as issuer, running_gateway(**issuer.settings) as gateway:
        issuer.jwks["keys"].append({"kty": "oct", "k": b64(SHARED_SECRET), "kid": "shared", "alg": "HS256"})
        token = jwt.encode(claims(), SHARED_SECRET, "HS256", {"kid": "shared"})

        response = await gateway.chat(chat_request("hi"), headers=bearer(token))

        assert response.status_code == 401


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_short_rsa_key_verifies_nothing() -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 too short is the point
    async with token_issuer() as issuer, running_gateway(**issuer.settings) as gateway:
        issuer.jwks = {"keys": [a_jwk(key=short)]}

        response = await gateway.chat(chat_request("hi"), headers=bearer(a_token(key=short)))

        assert response.status_code == 401
