"""Endpoint families: every endpoint has the scope of its family, the request's deadline, and an error format."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from starlette.types import Receive, Scope, Send

from obscura.api.app import create_family_app
from obscura.api.deadline import DEADLINE, RequestDeadline
from obscura.api.dialect_endpoint import DialectEndpoint
from obscura.api.routers import FAMILIES, Family, FamilyRoute, load_families
from obscura.auth.api_keys import create_key
from obscura.auth.base import ApiKeyStore, KeyScope
from obscura.dialects.registry import load_dialect
from obscura.settings import Settings
from obscura.stores.open import local_stores
from obscura.stores.sqlite.database import open_database
from tests.support.gateway import Gateway, running_gateway

ANTHROPIC = {"anthropic-version": "2023-06-01"}


def test_every_family_is_registered_by_its_name_with_a_scope_of_its_own() -> None:
    families = load_families()

    assert [family.name for family in families] == list(FAMILIES)
    of_a_scope = [family for family in families if not family.any_key]
    assert len({family.scope for family in of_a_scope}) == len(of_a_scope)
    assert [family.name for family in families if family.any_key] == ["usage"]
    assert [family.name for family in families if family.scope is None] == ["playground"]


def test_a_family_without_a_scope_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="scope"):
        Family(**dict[str, Any](name="new", free_tier=True, streams=False))


def test_a_dialect_of_another_scope_cannot_join_a_family() -> None:
    chat = DialectEndpoint(load_dialect("chat"))

    with pytest.raises(ValueError, match="chat"):
        Family(name="new", scope=KeyScope.FILES, free_tier=True, streams=True, dialects=(chat,))


def test_a_route_without_a_deadline_cannot_join_a_family() -> None:
    router = APIRouter()
    router.add_api_route("/new", lambda: None)

    with pytest.raises(ValueError, match="deadline"):
        Family(name="new", scope=KeyScope.FILES, free_tier=True, streams=True, router=router)


@pytest.mark.parametrize("name", [family.name for family in load_families() if family.scope and not family.any_key])
async def test_no_endpoint_opens_to_a_key_of_another_scope(name: str) -> None:
    [family] = [family for family in load_families() if family.name == name]
    async with running_gateway() as gateway:
        for scope in KeyScope:
            headers = await gateway.headers_of("restricted", scopes=frozenset({scope}))
            for method, path in family.routes():
                response = await gateway.client.request(method, path, headers=headers)

                assert (response.status_code == 403) == (scope is not family.scope), (scope, method, path)


@asynccontextmanager
async def a_family_app(
    tmp_path: Path, family: Family, **scope: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, ApiKeyStore]]:
    """Serve a family in this process, with entries of the ASGI scope; yield a client and the keys' store."""
    with closing(open_database(None)) as database:
        stores = local_stores(database, tmp_path)
        app = create_family_app((family,), Settings(moderation="off", data_dir=tmp_path), stores)

        async def scoped(inherited: Scope, receive: Receive, send: Send) -> None:
            await app({**inherited, **scope}, receive, send)

        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(scoped)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as client:
                yield client, stores.keys


async def test_an_endpoint_that_declares_nothing_has_its_familys_scope(tmp_path: Path) -> None:
    router = APIRouter(route_class=FamilyRoute)
    router.add_api_route("/new", lambda: {"new": True})
    family = Family(name="new", scope=KeyScope.FILES, free_tier=False, streams=False, router=router)
    async with a_family_app(tmp_path, family) as (client, keys):
        _, of_models = await create_key(keys, "a", scopes=frozenset({"models"}))
        _, of_files = await create_key(keys, "a", scopes=frozenset({"files"}))
        responses = [
            await client.get("/new", headers=headers)
            for headers in ({}, {"x-api-key": of_models}, {"x-api-key": of_files}, {"x-free-tier": "true"})
        ]

        assert [response.status_code for response in responses] == [401, 403, 200, 401]


async def test_an_endpoint_that_fastapi_routes_ends_at_the_deadline(tmp_path: Path) -> None:
    router = APIRouter(route_class=FamilyRoute)
    router.add_api_route("/new", asyncio.Event().wait)
    family = Family(name="new", scope=KeyScope.MODELS, free_tier=False, streams=False, router=router)
    deadline = RequestDeadline(asyncio.get_running_loop().time() + 0.2)
    async with a_family_app(tmp_path, family, **{DEADLINE: deadline}) as (client, keys):
        _, key = await create_key(keys, "a")
        response = await client.get("/new", headers={"x-api-key": key})

        assert (response.status_code, response.json()["error"]["code"]) == (504, "upstream_timeout")


@pytest.mark.parametrize(
    ("path", "headers", "anthropic"),
    [
        ("/v1/messages", {}, True),
        ("/v1/messages/unknown", {}, True),
        ("/v1/chat/completions", ANTHROPIC, False),
        ("/v1/responses", ANTHROPIC, False),
        ("/v1/models/unknown", {}, False),
        ("/v1/models/unknown", ANTHROPIC, True),
        ("/unknown", {}, False),
        ("/unknown", ANTHROPIC, True),
    ],
)
async def test_a_paths_dialect_decides_the_error_format_else_the_client(
    path: str, headers: dict, anthropic: bool, demo_gateway: Gateway
) -> None:
    response = await demo_gateway.client.get(path, headers=headers)

    assert response.status_code in {404, 405}
    assert ("request_id" in response.json()) == anthropic
    assert (response.headers.get("request-id") == response.headers["x-request-id"]) == anthropic
