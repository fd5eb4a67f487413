"""Callers without credentials."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from tests.support.served import Served

FREE = {"x-free-tier": "true"}


@dataclass
class Stranger:
    """Asks without a key, as the free tier's caller from 127.0.0.1."""

    client: httpx.AsyncClient

    async def chat(self, body: object, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, json=body, headers=FREE | named)


@asynccontextmanager
async def stranger_at(gateway: Served) -> AsyncIterator[Stranger]:
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=30) as client:
        yield Stranger(client)
