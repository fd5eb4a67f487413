"""The schema that the gateway gives of itself."""

from tests.support.served import served


async def test_the_schema_names_every_path_that_is_served():
    async with served() as gateway:
        schema = (await gateway.client.get("/openapi.json")).json()

        assert schema["openapi"].startswith("3.")
        assert set(schema["paths"]) == {"/healthz", "/v1/chat/completions", "/chat/completions"}
        assert set(schema["components"]["securitySchemes"]) == {"bearer", "x-api-key"}
