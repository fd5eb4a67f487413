"""The schema that the gateway gives of itself."""

from tests.support.served import served


async def test_the_schema_names_every_path_that_is_served():
    async with served() as gateway:
        schema = (await gateway.client.get("/openapi.json")).json()

        assert schema["openapi"].startswith("3.")
        assert set(schema["paths"]) == {
            "/healthz",
            "/v1/chat/completions",
            "/chat/completions",
            "/v1/messages",
            "/v1/messages/count_tokens",
            "/v1/responses",
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
