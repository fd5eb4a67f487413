"""Whose files a caller has: a JWT's project is its own, and no key's or claim's name can equal it."""

from typing import Any

import httpx
import pytest

from obscura.auth.api_keys import create_key, key_digest
from obscura.auth.base import ApiKey
from obscura.auth.projects import ReservedProject, jwt_project
from obscura.clock import SystemClock
from tests.support.gateway import Gateway, chat_request, running_gateway
from tests.support.token_issuer import ISSUER, a_token, token_issuer
from tests.unit.imaging.images import a_photograph

PHOTO = a_photograph(60, 40, "JPEG")
IMITATIONS = (jwt_project(ISSUER, "alice"), "jwt:x", "JWT:x", " jwt:x", "\uff4awt:x", "free tier", "Free Tier")


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def upload(gateway: Gateway, headers: dict[str, str]) -> str:
    response = await gateway.client.post("/v1/files", files={"file": ("a.jpg", PHOTO)}, headers=headers)
    return str(response.json()["id"])


async def files_of(gateway: Gateway, headers: dict[str, str]) -> list[str]:
    response = await gateway.client.get("/v1/files", headers=headers)
    return [file["id"] for file in response.json()["data"]]


async def test_a_jwt_does_not_get_the_files_of_the_project_that_its_subject_names() -> None:
    async with token_issuer() as issuer, running_gateway(**issuer.settings) as gateway:
        team = await gateway.headers_of("team")
        stored = await upload(gateway, team)
        for claims in ({"sub": "team"}, {"sub": "x", "project": "team"}):
            token = bearer(a_token(**claims))
            found = await gateway.client.get(f"/v1/files/{stored}", headers=token)
            own = await upload(gateway, token)

            assert found.json()["error"]["code"] == "file_not_found"
            assert await files_of(gateway, token) == [own]
        assert await files_of(gateway, team) == [stored]


@pytest.mark.parametrize(
    ("claim", "claims", "shared"),
    [
        ("team", {"team": "team"}, True),
        ("sub", {"sub": "team"}, True),
        ("team", {"project": "team"}, False),
        ("https://x.example/team", {"https://x.example/team": "team"}, True),
    ],
)
async def test_a_claim_names_the_project_if_the_operator_says_so(
    claim: str, claims: dict[str, Any], shared: bool
) -> None:
    async with token_issuer() as issuer, running_gateway(**issuer.settings, jwt_project_claim=claim) as gateway:
        stored = await upload(gateway, await gateway.headers_of("team"))

        assert (stored in await files_of(gateway, bearer(a_token(**claims)))) is shared


async def test_a_claim_that_cannot_name_a_project_is_rejected() -> None:
    async with token_issuer() as issuer, running_gateway(**issuer.settings, jwt_project_claim="team") as gateway:
        for project in ("", "p" * 201, ["a"], 7, *IMITATIONS):
            response = await gateway.chat(chat_request("hi"), headers=bearer(a_token(team=project)))

            assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_token")


def test_issuers_and_subjects_never_share_a_project() -> None:
    names = [jwt_project(issuer, subject) for issuer in ("a", "a b", "") for subject in ("c", "b c", "c:d", "")]

    assert len(set(names)) == 12


@pytest.mark.parametrize("project", IMITATIONS)
async def test_no_key_is_made_for_a_name_that_reads_like_a_jwts(project: str, demo_gateway: Gateway) -> None:
    assert demo_gateway.stores is not None
    with pytest.raises(ReservedProject):
        await create_key(demo_gateway.stores.keys, project)


async def test_a_key_of_an_earlier_version_in_the_namespace_opens_nothing(demo_gateway: Gateway) -> None:
    assert demo_gateway.stores is not None
    key = ApiKey("key_old", jwt_project(ISSUER, "alice"), False, SystemClock().now())
    await demo_gateway.stores.keys.add(key, key_digest("obs_old"))

    response = await demo_gateway.chat(chat_request("hi"), headers=bearer("obs_old"))

    assert (response.status_code, response.json()["error"]["code"]) == (403, "permission_denied")


def by_id(dialect: str, file_id: str) -> tuple[str, dict[str, Any], str]:
    match dialect:
        case "chat":
            part: dict[str, Any] = {"type": "image_url", "image_url": {"file_id": file_id}}
            return "/v1/chat/completions", chat_request(part), "messages[0].content[0].image_url.file_id"
        case "chat file":
            part = {"type": "file", "file": {"file_id": file_id}}
            return "/v1/chat/completions", chat_request(part), "messages[0].content[0].file.file_id"
        case "responses":
            items = [{"role": "user", "content": [{"type": "input_image", "file_id": file_id}]}]
            return "/v1/responses", {"model": "m", "input": items}, "input[0].content[0].file_id"
    block = {"type": "image", "source": {"type": "file", "file_id": file_id}}
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [block]}]}
    return "/v1/messages", body, "messages[0].content[0].source.file_id"


@pytest.mark.parametrize("dialect", ["chat", "chat file", "responses", "messages"])
async def test_a_key_that_is_not_for_files_uses_none(dialect: str, demo_gateway: Gateway) -> None:
    family = frozenset({dialect.split(maxsplit=1)[0]})
    stored = await upload(demo_gateway, await demo_gateway.headers_of("team"))
    path, body, param = by_id(dialect, stored)

    async def answered(scopes: frozenset[str]) -> httpx.Response:
        headers = await demo_gateway.headers_of("team", scopes=scopes)
        return await demo_gateway.client.post(path, json=body, headers=headers)

    refused, taken, unscoped = [await answered(scopes) for scopes in (family, family | {"files"}, frozenset[str]())]

    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "permission_denied"
    assert refused.json()["error"]["param"] == param
    assert (taken.status_code, unscoped.status_code) == (200, 200)
