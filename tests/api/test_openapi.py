"""The schema that the gateway gives of itself."""

import json
import re

from tests.support.gateway import running_gateway


async def test_the_schema_names_every_path_that_is_served():
    async with running_gateway() as gateway:
        schema = (await gateway.client.get("/openapi.json")).json()

        assert schema["openapi"].startswith("3.")
        assert set(schema["paths"]) == {
            "/healthz",
            "/v1/chat/completions",
            "/chat/completions",
            "/v1/messages",
            "/v1/messages/count_tokens",
            "/v1/responses",
            "/responses",
            "/v1/models",
            "/v1/models/{model_id}",
            "/api/models",
            "/v1/files",
            "/v1/files/{file_id}",
            "/v1/files/{file_id}/content",
            "/v1/uploads",
            "/v1/uploads/{upload_id}/parts",
            "/v1/uploads/{upload_id}/complete",
            "/v1/uploads/{upload_id}/cancel",
        }
        assert set(schema["components"]["securitySchemes"]) == {"bearer", "x-api-key", "free-tier"}


async def test_every_reference_in_the_schema_leads_somewhere():
    async with running_gateway() as gateway:
        schema = (await gateway.client.get("/openapi.json")).json()

        referred = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(schema)))
        assert referred == set(schema["components"]["schemas"])


async def test_the_schema_says_of_every_path_but_health_who_may_ask_and_how_errors_look():
    async with running_gateway() as gateway:
        paths = (await gateway.client.get("/openapi.json")).json()["paths"]

        for path, operations in paths.items():
            for response in operations.values() if path != "/healthz" else ():
                shape = "AnthropicError" if path.startswith("/v1/messages") else "Error"
                assert set(response["responses"]) == {"200", "4XX", "5XX"}
                assert shape in json.dumps(response["responses"]["4XX"])
                assert ({"free-tier": []} in response["security"]) == (
                    not path.startswith(("/v1/files", "/v1/uploads"))
                )
