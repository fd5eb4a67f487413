"""A gateway whose one upstream speaks every dialect, or chat alone, as a catalog has it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.gateway import Gateway, running_gateway
from tests.support.loopback_server import LoopbackServer

PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
SMALLEST: dict[str, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "messages": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "responses": {"model": "m", "input": "hi"},
}
NATIVE = 'dialects = ["chat", "messages", "responses"]'
ZERO = {"x-zero-retention": "true"}


@asynccontextmanager
async def catalog_gateway(
    upstream: LoopbackServer,
    folder: Path,
    of_upstream: str = NATIVE,
    of_model: str = "",
    **settings: Any,
) -> AsyncIterator[Gateway]:
    """Serve the model ``m``, with these lines in the entries of its upstream and of itself."""
    catalog = folder / "models.toml"
    catalog.write_text(
        f'[[upstreams]]\nname = "u"\nurl = "{upstream.v1}"\n{of_upstream}\n'
        f'[[models]]\nid = "m"\nupstream = "u"\n{of_model}\n'
    )
    async with running_gateway(models=catalog, **settings) as gateway:
        yield gateway


async def refusal(gateway: Gateway, dialect: str, fields: dict[str, Any], **headers: str) -> tuple[int, str, str]:
    """Return the status, code and param of the error of a request with these fields."""
    response = await gateway.client.post(PATHS[dialect], json=SMALLEST[dialect] | fields, headers=headers)
    error = response.json().get("error") or {}
    return response.status_code, error.get("code", ""), error.get("param", "")
