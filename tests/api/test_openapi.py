"""The schema of the API: complete, and derived from what serves it."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

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
