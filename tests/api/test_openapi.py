"""The schema of the API: complete, and derived from what serves it."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from jsonschema import Draft202012Validator

from obscura.api.app import SCHEMA_PATH, WELL_KNOWN_SCHEMA_PATH
from obscura.api.routers import health, load_families
from tests.support.forms import FORM, form, part
from tests.support.gateway import Gateway, running_gateway
from tests.unit.imaging.images import a_photograph


@asynccontextmanager
async def the_schema() -> AsyncIterator[dict]:
    async with running_gateway() as gateway:
        yield (await gateway.client.get(SCHEMA_PATH)).json()


def operations(schema: dict) -> list[tuple[str, str, dict]]:
    return [(method, path, described) for path, item in schema["paths"].items() for method, described in item.items()]


async def test_the_schema_has_every_path_that_is_served() -> None:
    async with the_schema() as schema:
        served = {(method, path.replace(":path", "")) for family in load_families() for method, path in family.routes()}

        assert schema["openapi"].startswith("3.")
        assert {(method.upper(), path) for method, path, _ in operations(schema)} == served | {("GET", health.PATH)}
        assert set(schema["components"]["securitySchemes"]) == {"bearer", "x-api-key", "free-tier"}


async def test_the_well_known_path_has_the_same_schema(demo_gateway: Gateway) -> None:
    responses = [await demo_gateway.client.get(path) for path in (SCHEMA_PATH, WELL_KNOWN_SCHEMA_PATH)]

    assert [response.status_code for response in responses] == [200, 200]
    assert responses[0].json() == responses[1].json()


async def test_every_reference_in_the_schema_resolves() -> None:
    async with the_schema() as schema:
        referred = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(schema)))
        assert referred == set(schema["components"]["schemas"])


async def test_no_success_and_no_body_has_an_empty_schema() -> None:
    async with the_schema() as schema:
        for method, path, described in operations(schema):
            bodies = [described["responses"]["200"], described.get("requestBody", {})]
            for schemas in (body.get("content", {}).values() for body in bodies):
                assert all(content["schema"] for content in schemas), (method, path)
            has_body = method in {"post", "patch"} and not path.endswith("/cancel")
            assert ("requestBody" in described) == has_body, (method, path)


async def test_every_family_documents_its_credentials_and_its_error_format() -> None:
    async with the_schema() as schema:
        for family in load_families():
            for method, path in family.routes():
                described = schema["paths"][path.replace(":path", "")][method.lower()]
                error = "AnthropicError" if path.endswith(("/messages", "/count_tokens")) else "OpenAIError"
                assert set(described["responses"]) - {"201"} == {"200", "4XX", "5XX"}
                assert f'/{error}"' in json.dumps(described["responses"]["4XX"])
                assert ({"free-tier": []} in described["security"]) == family.free_tier


async def test_paths_without_v1_are_marked_as_aliases() -> None:
    async with the_schema() as schema:
        assert {"/chat/completions", "/responses", "/models", "/files", "/uploads"} <= schema["paths"].keys()
        for _, path, described in operations(schema):
            alias = f"/v1{path}" in schema["paths"]
            assert described.get("x-alias-of") == (f"/v1{path}" if alias else None)
            assert not alias or described["summary"].endswith(f"(alias of /v1{path})")


async def test_the_upload_schema_has_the_fields_that_are_accepted(demo_gateway: Gateway) -> None:
    schema = (await demo_gateway.client.get(SCHEMA_PATH)).json()["components"]["schemas"]["CreateUpload"]
    response = await demo_gateway.client.post("/v1/uploads", json={"x": 1})

    assert schema["additionalProperties"] is False
    assert response.json()["error"]["message"].endswith(f"Known fields: {', '.join(sorted(schema['properties']))}.")


@pytest.mark.parametrize("field", ["purpose", "expires_after[anchor]", "expires_after[seconds]"])
async def test_the_file_forms_schema_has_the_fields_that_are_accepted(field: str, demo_gateway: Gateway) -> None:
    schema = (await demo_gateway.client.get(SCHEMA_PATH)).json()["paths"]["/v1/files"]["post"]["requestBody"]
    fields = schema["content"]["multipart/form-data"]["schema"]["properties"]
    body = form(part("file", a_photograph(60, 40, "JPEG"), filename="a.jpg"), part(field, b"not valid"))
    response = await demo_gateway.client.post("/v1/files", content=body, headers=FORM)

    assert field in fields
    assert response.json()["error"]["param"].startswith(field.partition("[")[0])


URL = "https://example.com/a.png"
SOURCES: list[dict[str, str]] = [
    {"type": "base64", "data": "AAAA", "url": URL},
    {"type": "url", "url": URL, "file_id": "file_1"},
    {"type": "file", "file_id": "file_1", "data": "AAAA"},
]
INPUT_ITEMS: list[dict[str, object]] = [
    {"type": "no such item", "role": "user", "content": "hi"},
    {"type": "message", "role": "user"},
    {"type": "function_call", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "output": "1"},
    {"role": "user", "content": [{"type": "input_image", "image_url": URL, "file_id": "file_1"}]},
]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_a_second_source_is_refused_by_the_gateway_and_by_its_schema(
    gateway: Gateway, path: str, source: dict[str, str]
) -> None:
    blocks = [{"type": "image", "source": source}]
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": blocks}]}

    await assert_refused(gateway, path, body)


@pytest.mark.parametrize("item", INPUT_ITEMS)
async def test_an_item_that_is_refused_is_none_of_the_schema(gateway: Gateway, item: dict[str, object]) -> None:
    hi = {"role": "user", "content": "hi"}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}

    await assert_refused(gateway, "/v1/responses", {"model": "m", "input": [item]})
    for good in (
        [hi],
        [hi | {"type": "message"}],
        [hi, call, {"type": "function_call_output", "call_id": "c", "output": "1"}],
    ):
        assert not problems(await request_schema(gateway, "/v1/responses"), {"model": "m", "input": good})
        response = await gateway.client.post("/v1/responses", json={"model": "m", "input": good})
        assert response.status_code == 200, response.text


async def assert_refused(gateway: Gateway, path: str, body: dict[str, object]) -> None:
    response = await gateway.client.post(path, json=body)

    assert response.status_code == 400, response.text
    assert problems(await request_schema(gateway, path), body)


async def request_schema(gateway: Gateway, path: str) -> dict:
    operation = (await gateway.client.get(SCHEMA_PATH)).json()["paths"][path]["post"]
    return operation["requestBody"]["content"]["application/json"]["schema"]


def problems(schema: dict, body: dict[str, object]) -> list[str]:
    return [error.message for error in Draft202012Validator(schema).iter_errors(body)]
